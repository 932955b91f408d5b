"""Which words of a question are searched for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.offline_search import pattern
from rlm_core.adapters.offline_words import MOST_TERMS, question_phrases, question_terms


def found(question: str, text: str) -> bool:
    return all(pattern(term).search(text.lower()) for term in question_terms(question))


def test_small_words_are_left_out() -> None:
    assert question_terms("What is the access code of the vault?") == ["access*", "code*", "vault*"]


def test_small_words_are_better_than_none() -> None:
    assert question_terms("Who are you?") == ["who", "are", "you"]


def test_a_word_is_found_in_its_other_forms() -> None:
    assert found("copies", "to copy")
    assert found("copying", "it copies")
    assert found("retries", "one retry")
    assert found("Directories", "a directory")
    assert found("recursive", "recursively")
    assert found("expires", "the expiry date")


def test_a_word_is_not_found_inside_another() -> None:
    assert not found("port", "an airport")
    assert not found("port", "portability")
    assert not found("code", "encode")
    assert not found("404", "14045")


def test_parts_of_a_name_are_words() -> None:
    assert found("imap4 ssl port", "IMAP4_SSL_PORT = 993")


def test_neighbouring_words_make_phrases_with_what_stands_between() -> None:
    assert question_phrases("What is the vault's access code of the day?") == [
        "vault access",
        "access code",
        "code of the day",
    ]
    assert question_phrases("Why?") == []


def test_text_without_spaces_is_searched_by_pairs_of_characters() -> None:
    terms = question_terms("访问代码")
    assert terms == ["*访问*", "*问代*", "*代码*"]
    assert found("访问代码", "保险库的访问代码是7319")


def test_each_term_comes_once_and_there_are_not_too_many() -> None:
    assert question_terms("port Port PORT") == ["port*"]
    assert len(question_terms(" ".join(f"word{n}" for n in range(100)))) == MOST_TERMS


@given(st.text(max_size=60))
def test_every_question_has_usable_terms(question: str) -> None:
    for term in question_terms(question):
        pattern(term).search(question)
        assert term.strip("*")
