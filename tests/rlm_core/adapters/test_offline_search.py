"""The offline program finds the passage that holds a question's words, wherever it stands."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.adapters import offline_search
from rlm_core.adapters.offline_words import question_phrases, question_terms
from rlm_core.context import Context

QUESTION = "What is the access code of the vault?"
NEEDLE = "The access code of the vault is 7319."
VOCABULARY = "the code river of access stone is walking vault slowly and never asks why green"


def filler(characters: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    lines = [
        " ".join(chance.choices(VOCABULARY.split(), k=12)) + "." for _ in range(characters // 60)
    ]
    return "\n".join(lines)


def echo_first_line_about_it(prompts: list[str]) -> list[str]:
    return [NEEDLE if NEEDLE in prompt else "NO_ANSWER" for prompt in prompts]


def search(context: Context, question: str = QUESTION, **options: object) -> str:
    return offline_search.find_answer(
        question,
        question_terms(question) + question_phrases(question),
        options.get("numeric", False),
        context.text,
        context,
        options.get("llm_batch", echo_first_line_about_it),
    )


@pytest.mark.parametrize("place", [0, 1, 199, 399, 400, 401, 5_000, 150_000, 199_990])
def test_the_needle_is_found_wherever_it_stands(place: int) -> None:
    hay = filler(200_000)
    text = hay[:place] + "\n" + NEEDLE + "\n" + hay[place:]
    assert search(Context.from_text(text)).startswith(NEEDLE + "\n(found in line ")


def test_the_line_named_is_the_line_of_the_needle() -> None:
    text = "nothing\n" * 999 + NEEDLE + "\n" + "nothing\n" * 999
    assert search(Context.from_text(text)) == f"{NEEDLE}\n(found in line 1000)"


def test_the_document_is_named_by_its_path() -> None:
    documents = [filler(3_000, seed) for seed in range(20)]
    documents[13] += f"\n{NEEDLE}"
    context = Context.from_documents(documents)
    paths = tuple(f"files/{number}.txt" for number in range(20))
    named = Context(context.text, context.documents, context.context_type, paths)
    assert "(found in files/13.txt, line " in search(named)


def test_a_passage_never_reaches_into_another_document() -> None:
    seen: list[str] = []

    def look(prompts: list[str]) -> list[str]:
        seen.extend(prompts)
        return ["NO_ANSWER"] * len(prompts)

    search(Context.from_documents(["left " * 20, NEEDLE, "right " * 20]), llm_batch=look)
    assert seen
    assert all(
        "left" not in prompt and "right" not in prompt for prompt in seen if NEEDLE in prompt
    )


def test_a_document_named_in_the_question_is_preferred() -> None:
    line = "The default timeout is long."
    texts = [f"{line}\n" + "nothing of note\n" * 100] * 3
    context = Context.from_documents(texts)
    paths = ("ftplib.py", "poplib.py", "smtplib.py")
    named = Context(context.text, context.documents, context.context_type, paths)
    answer = search(
        named,
        "What is the default timeout of poplib?",
        llm_batch=lambda prompts: [line] * len(prompts),
    )
    assert answer == f"{line}\n(found in poplib.py, line 1)"


def test_without_a_common_word_it_says_so_and_asks_nobody() -> None:
    asked: list[list[str]] = []

    def nobody(prompts: list[str]) -> list[str]:
        asked.append(prompts)
        return []

    answer = search(Context.from_text("entirely different"), llm_batch=nobody)
    assert answer == "No passage of the text answers this question."
    assert asked == [[]]


def test_without_a_sub_model_the_closest_line_must_do() -> None:
    text = f"{filler(5_000)}\n{NEEDLE}\n{filler(5_000, 2)}"
    limit = "[SUBCALL_LIMIT] max_subcalls exceeded."
    answer = search(Context.from_text(text), llm_batch=lambda prompts: [limit] * len(prompts))
    assert answer.startswith(NEEDLE)


def test_where_a_number_is_asked_for_an_answer_with_a_number_wins() -> None:
    answers = [(10.0, "the usual IMAP4 port", "a"), (8.0, "993", "b"), (1.0, "143", "c")]
    assert offline_search.choose(answers, numeric=True).startswith("993\n")
    assert offline_search.choose(answers, numeric=False).startswith("the usual")


@given(st.text(max_size=300), st.text(max_size=40))
@settings(max_examples=60)
def test_any_question_about_any_text_ends_with_an_answer(text: str, question: str) -> None:
    def first_word(prompts: list[str]) -> list[str]:
        return [prompt.split()[0] for prompt in prompts]

    assert search(Context.from_text(text), question, llm_batch=first_word)


def test_counting_is_right_across_the_windows_of_a_large_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline_search, "WINDOW", 1_000)
    text = ("." * 996 + " vault ") * 9
    (bins,) = offline_search.count(text, ["vault"])
    assert sum(bins) == 9
