"""The offline sub-model picks the sentence or value that answers, or says that there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.offline_extract import (
    LONGEST_SENTENCE,
    Asked,
    asked_in,
    best_answer,
    split_units,
)

VAULT = """The harbour opens at dawn. Fishing boats leave before six.
The access code of the vault is 7319. It is changed every year.

Nobody remembers who built the lighthouse."""


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("What is the access code of the vault?", VAULT, "7319"),
        ("When do fishing boats leave?", VAULT, "Fishing boats leave before six."),
        ("What is the favourite colour of the mayor?", VAULT, "NO_ANSWER"),
        ("Which port does IMAP4 over SSL use?", "IMAP4_PORT = 143\nIMAP4_SSL_PORT = 993\n", "993"),
        ("What is the timeout?", 'retries = 3\ntimeout = "30 s"\n', "30 s"),
        ("What is the name of the ship?", "Captain: Ahab\nName of the ship: Pequod\n", "Pequod"),
        ("How many moons has Mars?", "Mars was seen.\nMars has two moons: 2.", "2"),
        ("What is the vault's code?", "What is the vault's code?\nIt is 11.", "11"),
        ("What is the code of the vault?", "The vault is old. Its code is 42.", "42"),
        ("Why does the vault hum?", "The vault hums because it is alive.", None),
    ],
)
def test_the_answer_is_the_value_or_the_sentence(
    question: str, text: str, answer: str | None
) -> None:
    reply = best_answer(Asked(question, text))
    assert reply == (text if answer is None else answer)


def test_a_sentence_that_is_wrapped_over_lines_stays_whole() -> None:
    text = (
        "The committee met on Monday and decided after a long debate\n"
        "that the bridge of Avignon shall be rebuilt in stone next\n"
        "spring. Nobody objected."
    )
    assert best_answer(Asked("Why rebuild the bridge of Avignon?", text)) == (
        "The committee met on Monday and decided after a long debate that the bridge of Avignon "
        "shall be rebuilt in stone next spring."
    )


def test_lines_without_sentences_are_answered_by_the_line() -> None:
    noise = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do"
    lines = [noise] * 10 + ["the passphrase of the northern lighthouse is heron-42."] + [noise] * 10
    asked = Asked("What is the passphrase of the northern lighthouse?", "\n".join(lines))
    assert best_answer(asked) == "heron-42"


def test_a_line_without_end_is_cut_around_the_words_of_the_question() -> None:
    text = "left " * 400 + "the lighthouse hums because it is alive " + "right " * 400
    reply = best_answer(Asked("Why does the lighthouse hum?", text))
    assert "lighthouse hums because it is alive" in reply
    assert len(reply) <= LONGEST_SENTENCE


def test_code_is_read_line_by_line_without_comment_signs() -> None:
    code = '    # the limit is soft\n    limit = 5\n    """Stop early."""\n    return limit\n'
    assert split_units(code) == ["the limit is soft", "limit = 5", "Stop early.", "return limit"]


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("Question: who?\nSnippet:\nAnn did.", Asked("who?", "Ann did.")),
        ("question: who?\n\nContext: Ann did.", Asked("who?", "Ann did.")),
        ("Who did it?\nAnn did.\nBob slept.", Asked("Who did it?", "Ann did.\nBob slept.")),
        ("Ann did.\nBob slept.\nWho did it?", Asked("Who did it?", "Ann did.\nBob slept.")),
        ("Summarize: Ann did.", Asked("Summarize", "Ann did.")),
        ("", Asked("", "")),
    ],
)
def test_question_and_text_are_told_apart(prompt: str, asked: Asked) -> None:
    assert asked_in(prompt) == asked


@given(st.text(max_size=80), st.text(max_size=200))
def test_any_question_about_any_text_gets_a_reply(question: str, text: str) -> None:
    assert best_answer(Asked(question, text))
    assert isinstance(asked_in(text), Asked)
