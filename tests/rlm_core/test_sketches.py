from __future__ import annotations

import pytest

from rlm_core.context import Context
from rlm_core.sketches import as_text, sketch


@pytest.mark.parametrize(
    ("value", "shown"),
    [("abc", "str[len=3]"), ([1, 2], "list[len=2]"), (5, "int 5"), (None, "NoneType None"),
     (object, "type")],
)  # fmt: skip
def test_a_value_is_sketched_in_a_few_words(value: object, shown: str) -> None:
    assert sketch(value) == shown


def test_everything_has_a_text() -> None:
    assert as_text(["a", Context.from_text("b"), ("c", 5)]) == "a\nb\nc\n5"
