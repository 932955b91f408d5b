from __future__ import annotations

import pytest

from rlm_core.dialects import fences
from rlm_core.dialects.fences import Language


def test_a_text_is_taken_apart_into_blocks_and_what_is_around_them() -> None:
    fenced = fences.split("a\n```python\nx = 1\n```\nb\n```\ny\n```")
    assert [(block.language, block.body) for block in fenced.blocks] == [
        (Language.PYTHON, "x = 1"),
        (Language.UNSAID, "y"),
    ]
    assert fenced.outside == "a\nb"


def test_an_unclosed_block_says_so() -> None:
    (block,) = fences.split("```python\nx = 1").blocks
    assert (block.body, block.closed) == ("x = 1", False)


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", Language.PYTHON),
        ("Python title=x", Language.PYTHON),
        ("{.python}", Language.PYTHON),
        ("", Language.UNSAID),
        ("json", Language.OTHER),
        ("pythonic", Language.OTHER),
    ],
)
def test_the_words_after_a_fence_name_its_language(info: str, language: Language) -> None:
    assert fences.language_of(info) is language


def test_a_longer_fence_is_not_closed_by_a_shorter_one() -> None:
    (block,) = fences.split("````python\nx = '''\n```\n'''\n````").blocks
    assert block.body == "x = '''\n```\n'''"


def test_inline_code_is_no_block() -> None:
    assert fences.split("use `x` or ``y``").blocks == ()
