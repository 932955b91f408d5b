from __future__ import annotations

import pytest

from rlm_core.tree import Models, question_in
from tests.rlm_core.models import Answering


def test_the_sub_model_is_the_root_model_unless_another_is_given() -> None:
    root, sub, named = Answering(), Answering(), Answering()
    assert Models(root).named(None) is root
    assert Models(root, sub).named(None) is sub
    assert Models(root, sub, {"fast": named}).named("fast") is named
    with pytest.raises(ValueError, match="fast"):
        Models(root, sub, {"fast": named}).named("slow")


def test_a_prompt_that_ask_made_is_taken_apart_again() -> None:
    assert question_in("Question: Who?\nSnippet:\nthe text\nSnippet:\nmore") == (
        "Who?",
        "the text\nSnippet:\nmore",
    )
    query, text = question_in("Summarize: the text")
    assert text == "Summarize: the text"
    assert "P holds" in query
