from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.context import Context, DocumentSpans


def test_a_text_is_one_document() -> None:
    context = Context.from_text("abc")
    assert (context.text, tuple(context.documents), context.context_type) == (
        "abc",
        ("abc",),
        "string",
    )
    assert context.num_documents() == 1
    assert context.metadata() == {
        "context_type": "string",
        "total_length": 3,
        "num_documents": 1,
    }


def test_documents_are_joined_by_the_separator_and_kept_apart() -> None:
    context = Context.from_documents(["aa", "b", "cccc"], separator="|")
    assert context.text == "aa|b|cccc"
    assert Context.from_documents(iter(["aa", "b", "cccc"]), separator="|") == context
    assert context.num_documents() == 3
    assert context.get_document(2) == "cccc"
    assert context.get_document(3) is None
    assert context.get_document(-1) is None
    assert context.document_lengths() == [2, 1, 4]
    assert context.metadata()["document_lengths"] == [2, 1, 4]


def test_no_documents_is_an_empty_list_and_not_one_empty_text() -> None:
    context = Context.from_documents([])
    assert context.num_documents() == 0
    assert context.document_lengths() == []
    assert context.chunk_documents() == []


def test_one_text_instead_of_a_list_of_documents_is_refused() -> None:
    with pytest.raises(TypeError, match="from_text"):
        Context.from_documents("not a list")


def test_a_context_is_frozen_and_works_with_replace_and_asdict() -> None:
    context = Context.from_documents(["a", "b"])
    with pytest.raises(FrozenInstanceError):
        context.text = "x"  # ty: ignore[invalid-assignment]
    assert replace(context, text="x").text == "x"
    assert asdict(context)["documents"] == ("a", "b")


def test_slices_are_brought_into_range() -> None:
    context = Context.from_text("0123456789")
    assert context.slice(-5, 3) == "012"
    assert context.slice(8, 99) == "89"
    assert context.slice(5, 2) == ""


def test_find_gives_positions_and_text_of_the_first_matches() -> None:
    context = Context.from_text("one Two one two")
    assert context.find("one") == [(0, 3, "one"), (8, 11, "one")]
    assert context.find("two", case_sensitive=False, max_matches=1) == [(4, 7, "Two")]
    assert context.find(r"o\w", regex=True, max_matches=2) == [(0, 2, "on"), (8, 10, "on")]
    assert context.find("^TWO$", flags=re.IGNORECASE | re.MULTILINE) == []
    assert context.find("") == []
    assert context.find("one", max_matches=0) == []


def test_a_pattern_without_regex_is_taken_literally() -> None:
    assert Context.from_text("a.b axb").find("a.b") == [(0, 3, "a.b")]


def test_positions_stay_right_where_lower_case_changes_the_length() -> None:
    assert Context.from_text("\u0130\u0130 word").find("WORD", case_sensitive=False) == [
        (3, 7, "word")
    ]


@given(text=st.text(max_size=60), size=st.integers(1, 20), overlap=st.integers(0, 19))
def test_chunks_cover_the_text_and_share_the_overlap(text: str, size: int, overlap: int) -> None:
    context = Context.from_text(text)
    if overlap >= size:
        with pytest.raises(ValueError, match="overlap"):
            context.chunk(size, overlap)
        return
    chunks = context.chunk(size, overlap)
    assert all(text[start:end] == piece and piece for start, end, piece in chunks)
    for (_, end, _), (start, _, _) in pairwise(chunks):
        assert start == end - overlap
    assert (chunks[-1][1] if chunks else 0) == len(text)
    assert "".join(piece if not start else piece[overlap:] for start, _, piece in chunks) == text


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (5, -1)])
def test_impossible_chunks_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=r"size|overlap"):
        Context.from_text("abc").chunk(size, overlap)


def test_documents_come_in_groups() -> None:
    context = Context.from_documents(["a", "b", "c"])
    assert context.chunk_documents(2) == [(0, 2, ["a", "b"]), (2, 3, ["c"])]
    with pytest.raises(ValueError, match="docs_per_chunk"):
        context.chunk_documents(0)
    assert Context("only text").chunk_documents() == [(0, 1, ["only text"])]


def test_pages_lie_between_their_markers() -> None:
    context = Context.from_text("x<!-- Page 1 -->one<!-- Page 2 -->two")
    assert context.page(1) == "one"
    assert context.page(2) == "two"
    assert context.page(3) is None
    assert Context.from_text("[p7] hello").page(7, marker_pattern=r"\[p(\d+)\]") == " hello"


def test_a_position_is_located_by_path_and_line() -> None:
    context = replace(
        Context.from_documents(["one\ntwo", "three"], separator="--"), paths=("a.txt", "b.txt")
    )
    assert context.locate(context.text.index("two")) == "a.txt, line 2"
    assert context.locate(context.text.index("three")) == "b.txt, line 1"
    assert context.locate(context.text.index("--")).startswith("character ")
    assert Context.from_text("a\nb").locate(2) == "line 2"


def test_where_the_documents_are_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    several = Context.from_documents(["one", "two"])
    assert several.spans() is several.spans()
    monkeypatch.setattr("rlm_core.context._evenly_joined", None)
    assert several.locate(several.text.index("two")) == "document 1, line 1"


def test_documents_that_are_no_parts_of_the_text_have_no_spans() -> None:
    assert Context("abc", ("x", "y"), "document_list").spans() is None


@given(
    documents=st.lists(st.text(max_size=6), max_size=6),
    separator=st.text(max_size=3),
)
def test_joined_documents_are_spans_of_the_text(documents: list[str], separator: str) -> None:
    context = Context.from_documents(documents, separator=separator)
    spans = context.spans()
    assert spans is not None
    assert list(spans) == documents


def test_spans_behave_as_the_documents_themselves() -> None:
    spans = DocumentSpans("one two", [0, 3, 4, 7])
    assert spans == ("one", "two")
    assert spans == DocumentSpans("one two", spans.bounds())
    assert spans != ("one",)
    assert hash(spans) == hash(("one", "two"))
    assert spans[-1] == "two"
    assert spans[0:2] == ("one", "two")
    assert "two" in spans
    assert spans.lengths() == [3, 3]
    assert (spans.at(0), spans.at(3), spans.at(6), spans.at(99)) == (0, None, 1, None)
    assert deepcopy(spans) == ("one", "two")
    with pytest.raises(IndexError):
        spans[2]


@pytest.mark.parametrize("pattern", ["a", "aa", "aba", "zz", "b\u00e9", ".", "\n"])
def test_plain_text_is_found_where_an_expression_finds_it(pattern: str) -> None:
    context = Context.from_text("aababaaa.b\u00e9\naaaa" * 3)
    as_expression = context.find(re.escape(pattern), regex=True, max_matches=5)
    assert context.find(pattern, max_matches=5) == as_expression


def test_a_context_is_shown_by_its_size() -> None:
    assert repr(Context.from_text("x" * 1_000_000)) == "<Context of 1,000,000 characters>"
    documents = Context.from_documents(["a", "b"], separator="-")
    assert repr(documents) == "<Context of 3 characters in 2 documents>"
