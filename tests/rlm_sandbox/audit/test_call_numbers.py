"""The numbers that the corpus calls by hand."""

from __future__ import annotations

import os
import re

from rlm_sandbox.audit.call_numbers import numbers
from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.confine import syscalls

CALLED = re.compile(r"\b(?:call|permitted|obtained)\('(\w+)'")


def test_every_call_of_the_corpus_has_a_number() -> None:
    called = {
        name for program in CORPUS for name in CALLED.findall(program.code + program.neighbour)
    }
    assert called
    assert called <= numbers().keys()


def test_they_agree_with_the_filters_own_table() -> None:
    machine = os.uname().machine
    for name, number in numbers().items():
        try:
            known = syscalls.number(name, machine)
        except KeyError:
            continue
        assert known in {number, None}
