from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.reply import Code, Final, FinalVar, Neither, parse_reply
from tests.rlm_core.replies import CASES, Case

PIECES = [
    "```python\n", "```", "~~~", "\n", "FINAL: ", "FINAL_VAR(", "x", ")", "<think>", "</think>",
    '"""', "print(1)\n", ">>> ", "{", '"code":', "}", "SUBMIT(", "\\boxed{", "In [1]: ", "\u201c",
    "<|channel|>", "final", "<|message|>", "Action Input:", "def f():\n", "    ", "(", "[", "'",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case.habit}: {case.text[:40]!r}" for case in CASES])
def test_a_reply_is_read_as_a_careful_person_would(case: Case) -> None:
    assert parse_reply(case.text) == case.meaning


def test_the_corpus_is_wide_enough() -> None:
    assert len(CASES) >= 120
    assert len({case.habit for case in CASES}) >= 40


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=14).map("".join))
def test_no_text_is_ever_too_strange_to_read(text: str) -> None:
    reply = parse_reply(text)
    assert isinstance(reply, Code | Final | FinalVar | Neither)
    if isinstance(reply, Code):
        assert reply.source.strip()
    if isinstance(reply, FinalVar):
        assert reply.name.isidentifier()


HOSTILE = {
    "parentheses": "(" * 20_000,
    "brackets": "[" * 5_000 + "]" * 5_000,
    "final": "FINAL(" + "(" * 50_000,
    "fences": "```\n" * 20_000,
    "minus": "-" * 90_000,
    "lines": "a\n" * 20_000,
    "thoughts": "<think>\n" * 50_000 + "</thinking>",
    "spaces": "a" + " " * 200_000 + "b",
    "tool call": "<tool_call>a" + " " * 200_000 + "b",
    "boxes": "\\boxed{" * 20_000,
    "channels": "<|channel|>a" * 20_000,
    "tags": "<code>" * 20_000,
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_reply_of_hostile_shape_is_read_too(shape: str) -> None:
    assert isinstance(parse_reply(HOSTILE[shape]), Code | Final | FinalVar | Neither)
