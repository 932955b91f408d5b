from __future__ import annotations

from rlm_core.episodes import question_in


def test_a_prompt_that_ask_made_is_taken_apart_again() -> None:
    assert question_in("Question: Who?\nSnippet:\nthe text\nSnippet:\nmore") == (
        "Who?",
        "the text\nSnippet:\nmore",
    )
    query, text = question_in("Summarize: the text")
    assert text == "Summarize: the text"
    assert "P holds" in query
