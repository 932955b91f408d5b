from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rlm_sandbox.modules import Modules
from rlm_sandbox.worker.modules import load


@pytest.fixture(autouse=True)
def _forgotten_afterwards() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_may_import_those_before_it() -> None:
    load(Modules({"rlm_t": "", "rlm_t.one": "x = 1", "rlm_two": "from rlm_t.one import x"}).packed)
    assert sys.modules["rlm_two"].x == 1
    assert sys.modules["rlm_t"].one is sys.modules["rlm_t.one"]


def test_one_that_is_there_already_is_left_as_it_is() -> None:
    load(Modules({"rlm_t": "x = []"}).packed)
    first = sys.modules["rlm_t"].x
    load(Modules({"rlm_t": "x = []", "rlm_other": ""}).packed)
    assert sys.modules["rlm_t"].x is first
    assert "rlm_other" in sys.modules


def test_one_that_fails_is_named_and_not_left_behind_half_made() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        load(Modules({"rlm_t": "x = 1", "rlm_bad": "1 / 0", "rlm_after": ""}).packed)
    assert raised.value.__notes__ == ["in the module 'rlm_bad'"]
    assert {"rlm_t", "rlm_bad", "rlm_after"} & set(sys.modules) == {"rlm_t"}
