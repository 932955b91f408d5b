"""The exit codes are the documented ones."""

from __future__ import annotations

from rlm_core.cli import Exit


def test_the_codes_are_those_that_scripts_rely_on() -> None:
    assert {code.name: code.value for code in Exit} == {
        "ANSWERED": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "INPUT": 3,
        "MODEL": 4,
        "LIMIT": 5,
        "ISOLATION": 6,
        "DIFFERENT": 7,
        "OUTPUT": 8,
        "INTERRUPTED": 130,
    }
