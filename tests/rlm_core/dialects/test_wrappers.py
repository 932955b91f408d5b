from __future__ import annotations

import pytest

from rlm_core.dialects.wrappers import WrappedAnswer, WrappedCode, unwrapped, without_thoughts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>a</think>b", "b"),
        ("<THINK>\u0130\u0130</Think>b", "b"),
        ("a\n</think>\nb", "b"),
        ("<think>never closed", ""),
        ("x = '<think>'", "x = '<think>'"),
        ("b<|im_end|>", "b"),
        ("<reasoning>\na\n</reasoning>\nb", "b"),
    ],
)
def test_what_was_thought_is_not_said(text: str, said: str) -> None:
    assert without_thoughts(text).strip() == said


def test_of_several_channels_the_one_meant_for_others_is_said() -> None:
    text = "<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>b<|return|>"
    assert without_thoughts(text) == "b"
    assert without_thoughts("<|channel|>analysis<|message|>a") == ""


def test_code_and_answers_are_found_in_their_wrapping() -> None:
    assert unwrapped("<python>x = 1</python>") == WrappedCode("x = 1")
    assert unwrapped('{"arguments": "{\\"code\\": \\"x\\"}"}') == WrappedCode("x")
    assert unwrapped('{"final_answer": 42}') == WrappedAnswer("42")
    assert unwrapped("plain words") is None


def test_an_object_with_more_to_say_is_data_and_no_answer() -> None:
    assert unwrapped('{"answer": "x", "city": "Paris"}') is None
    assert unwrapped("{broken") is None
    assert unwrapped('{"a":' * 2_000) is None
