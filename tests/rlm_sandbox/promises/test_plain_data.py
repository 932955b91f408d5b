"""Plain data goes in and comes out as itself; anything else is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rlm_sandbox import (
    Limits,
    Sandbox,
    ValueRefused,
)
from tests.rlm_sandbox.promises.running import printed


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        10**30,
        -(2**63),
        1.5,
        "text \ud800",
        b"\0\xff",
        [1, [2]],
        (1, (2,)),
        {"a": 1, 2: (3,)},
        {1, 2},
        frozenset({(1,)}),
        datetime(2024, 2, 29, 12, tzinfo=UTC),
    ],
    ids=repr,
)
def test_a_value_goes_in_and_comes_back_as_itself(free_box: Sandbox, value: object) -> None:
    free_box.set("value", value)
    assert printed(free_box, "print(type(value).__name__)") == type(value).__name__ + "\n"
    back = free_box.get("value")
    assert (type(back), back) == (type(value), value)


def test_a_value_that_is_no_plain_data_is_refused_with_its_type(box: Sandbox) -> None:
    box.exec("class Thing: pass\nthing = Thing()")
    with pytest.raises(ValueRefused, match=r"__main__\.Thing does not cross"):
        box.get("thing")
    with pytest.raises(ValueRefused, match=r"builtins\.object does not cross"):
        box.set("x", object())
    assert printed(box, "print('alive')") == "alive\n"


def test_a_value_that_is_too_large_is_refused_in_both_directions() -> None:
    with Sandbox(limits=Limits(value_bytes="1KiB")) as box:
        box.exec("big = 'x' * 2000")
        for cross in (lambda: box.get("big"), lambda: box.set("y", "x" * 2000)):
            with pytest.raises(ValueRefused, match=r"at most 1,024 cross"):
                cross()


def test_a_missing_name_is_an_error_that_can_be_caught_as_a_key_error(box: Sandbox) -> None:
    with pytest.raises(KeyError, match="no variable 'nothing'"):
        box.get("nothing")


@pytest.mark.parametrize("name", ["", "a b", "1x", "x" * 201, "a.b"])
def test_what_is_no_variable_name_is_refused(free_box: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="not a variable name"):
        free_box.set(name, 1)


def test_describe_gives_types_and_sizes_of_the_codes_own_variables(box: Sandbox) -> None:
    box.load("P", "context")
    box.exec("import math\nx = [1, 2]\ns = 'hello'\n_hidden = 1\ndef f(): pass")
    assert box.describe() == {"f": "function", "s": "str[len=5] 'hello'", "x": "list[len=2]"}
