"""What modules are made of; that sandboxes share them: tests/rlm_sandbox/promises."""

from __future__ import annotations

import marshal
from typing import Any

import pytest

from rlm_sandbox import Modules


def test_source_and_its_code_are_equal() -> None:
    source = "x = 1"
    as_code = Modules({"one.two": compile(source, "<one.two>", "exec", dont_inherit=True)})
    assert Modules({"one.two": source}) == as_code
    assert as_code.names == ("one.two",)


def test_their_order_is_kept() -> None:
    names = ("z", "a", "m")
    packed = Modules(dict.fromkeys(names, "")).packed
    assert tuple(name for name, _ in marshal.loads(packed)) == names


def test_equal_ones_are_one_key() -> None:
    assert len({Modules({"a": "x = 1"}), Modules({"a": "x = 1"}), Modules({"a": "x = 2"})}) == 2
    assert Modules({"a": ""}) != {"a": ""}


@pytest.mark.parametrize("name", ["", "a-b", ".a", "a..b", "a.", "1a"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a module"):
        Modules({name: ""})


def test_source_that_is_none_is_refused_with_the_module_it_is_in() -> None:
    with pytest.raises(SyntaxError) as raised:
        Modules({"good": "", "bad": "x ="})
    assert raised.value.filename == "<bad>"


def test_the_code_is_not_shown() -> None:
    assert repr(Modules({"a": "secret = 1"})) == "<Modules a>"


def test_source_is_compiled_as_in_a_file_of_its_own() -> None:
    ((_, code),) = marshal.loads(Modules({"a": "def f(x: int): ..."}).packed)
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["f"].__annotations__ == {"x": int}
