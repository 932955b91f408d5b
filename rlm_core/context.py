"""The text that a question is asked about, and the calm ways to look into it.

This file is also what the worker runs: its source is installed there, so that the code which a
model writes sees the same class as the caller does. It imports the standard library only.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from os import PathLike

    AnyPath = str | PathLike[str]

DOCUMENT_SEPARATOR = "\n\n---\n\n"
PAGE_MARKER = r"<!-- Page (\d+) -->"


class DocumentSpans(Sequence[str]):
    """Documents as spans of one text, cut out when asked for: they cost two numbers each.

    `bounds` is a flat run of start, end, start, end, ... in characters of `text`.
    """

    __slots__ = ("_ends", "_starts", "_text")

    def __init__(self, text: str, bounds: Iterable[int]) -> None:
        flat = array("Q", bounds)
        self._text = text
        self._starts = flat[0::2]
        self._ends = flat[1::2]

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        return self._text[self._starts[index] : self._ends[index]]

    def __iter__(self) -> Iterator[str]:
        for start, end in zip(self._starts, self._ends, strict=True):
            yield self._text[start:end]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (DocumentSpans, tuple, list)):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __deepcopy__(self, memo: object) -> tuple[str, ...]:
        """A plain tuple, so that `dataclasses.asdict` gives plain data."""
        return tuple(self)

    def __repr__(self) -> str:
        return f"<{len(self)} documents>"

    def bounds(self) -> list[int]:
        """The flat run of starts and ends from which an equal object can be made."""
        return [bound for pair in zip(self._starts, self._ends, strict=True) for bound in pair]

    def start(self, index: int) -> int:
        """Where a document begins, in characters of the text."""
        return self._starts[index]

    def lengths(self) -> list[int]:
        """Characters in each document."""
        return [end - start for start, end in zip(self._starts, self._ends, strict=True)]

    def at(self, position: int) -> int | None:
        """The index of the document that covers `position`, or None between documents."""
        index = bisect_right(self._starts, position) - 1
        return index if index >= 0 and position < self._ends[index] else None


@dataclass(frozen=True, repr=False)
class Context:
    """A text, or a list of documents joined into one text; lengths and positions in characters."""

    text: str
    documents: Sequence[str] = ()
    context_type: str = "string"
    """ "string" or "document_list"."""
    paths: tuple[str, ...] = ()
    """Where each document came from, in the order of `documents`; empty when nobody knows."""

    @classmethod
    def from_text(cls, text: str) -> Context:
        """A context of one text."""
        return cls(text=text, documents=(text,))

    @classmethod
    def from_documents(
        cls, documents: Iterable[str], *, separator: str = DOCUMENT_SEPARATOR
    ) -> Context:
        """A context of several documents; `text` is all of them, joined by `separator`."""
        if isinstance(documents, str):
            raise TypeError("from_documents takes a list of texts; for one text use from_text")
        documents = tuple(documents)
        return cls(separator.join(documents), documents, "document_list")

    @classmethod
    def from_paths(
        cls, paths: AnyPath | Sequence[AnyPath], *, separator: str = DOCUMENT_SEPARATOR
    ) -> Context:
        """A context of files and directories (read in full, in sorted order), on the host only.

        One file is one text; several, or a directory, are documents that know their path. Files
        of a directory that are not UTF-8 text are left out. Raises ContextError for a path that
        is missing, binary, not UTF-8 or without any text file.
        """
        from rlm_core.files import read_files

        files = read_files(paths)
        return cls.of_files(files.names, files.texts, alone=files.alone, separator=separator)

    @classmethod
    def of_files(
        cls,
        names: Iterable[str],
        texts: Sequence[str],
        *,
        alone: bool,
        separator: str = DOCUMENT_SEPARATOR,
    ) -> Context:
        """A context of texts whose files have these names: one text, or a list of documents."""
        if alone:
            return cls(texts[0], tuple(texts), paths=tuple(names))
        bounds: list[int] = []
        position = 0
        for text in texts:
            bounds += [position, position + len(text)]
            position += len(text) + len(separator)
        whole = separator.join(texts)  # what was read is not held a second time: spans of this
        return cls(whole, DocumentSpans(whole, bounds), "document_list", tuple(names))

    def __repr__(self) -> str:
        """Its size: the text itself may be gigabytes, and a cell shows what it ends with."""
        documents = self.num_documents()
        several = f" in {documents:,} documents" if documents != 1 else ""
        return f"<Context of {len(self.text):,} characters{several}>"

    def len_chars(self) -> int:
        """Characters in the whole text."""
        return len(self.text)

    def num_documents(self) -> int:
        """How many documents there are; a plain text counts as one."""
        if self.context_type == "document_list":
            return len(self.documents)
        return len(self.documents) or 1

    def get_document(self, index: int) -> str | None:
        """The document at `index`, or None where there is none."""
        if not 0 <= index < len(self.documents):
            return None
        return self.documents[index]

    def document_lengths(self) -> list[int]:
        """Characters in each document."""
        if isinstance(self.documents, DocumentSpans):
            return self.documents.lengths()
        if not self.documents and self.context_type != "document_list":
            return [len(self.text)]
        return [len(document) for document in self.documents]

    def document_path(self, index: int) -> str | None:
        """Where the document at `index` came from, or None where nobody knows."""
        return self.paths[index] if 0 <= index < len(self.paths) else None

    def spans(self) -> DocumentSpans | None:
        """The documents as spans of `text`, or None where they are no parts of it in order."""
        return self._spans

    @cached_property
    def _spans(self) -> DocumentSpans | None:
        """Found once: it takes as long as reading all of the text."""
        if isinstance(self.documents, DocumentSpans):
            return self.documents
        bounds = _evenly_joined(self.text, self.documents)
        return None if bounds is None else DocumentSpans(self.text, bounds)

    def locate(self, position: int) -> str:
        """Where a position of `text` is, for people: "path, line 12" or "document 3, line 1"."""
        spans = self.spans()
        index = spans.at(position) if spans is not None else None
        if spans is None or index is None:
            return f"character {position}"
        start = spans.start(index)
        line = self.text.count("\n", start, position) + 1
        name = self.document_path(index)
        if name is None and len(spans) == 1:
            return f"line {line}"
        return f"{name or f'document {index}'}, line {line}"

    def slice(self, start: int, end: int) -> str:
        """The text from `start` to `end`; both are brought into range first."""
        length = len(self.text)
        return self.text[max(0, min(start, length)) : max(0, min(end, length))]

    def find(
        self,
        pattern: str,
        *,
        regex: bool = False,
        max_matches: int = 20,
        case_sensitive: bool = True,
        flags: int | None = None,
    ) -> list[tuple[int, int, str]]:
        """The first matches as (start, end, text). `flags` are those of `re`, and mean `regex`."""
        if max_matches <= 0 or pattern == "":
            return []
        if flags is None:
            if case_sensitive and not regex:
                return _occurrences(self.text, pattern, max_matches)
            flags = 0 if case_sensitive else re.IGNORECASE
        else:
            regex = True
        found: list[tuple[int, int, str]] = []
        for match in re.finditer(pattern if regex else re.escape(pattern), self.text, flags):
            found.append((match.start(), match.end(), match[0]))
            if len(found) >= max_matches:
                break
        return found

    def chunk(self, size: int, overlap: int = 0) -> list[tuple[int, int, str]]:
        """The text in pieces of `size` characters as (start, end, text), `overlap` shared."""
        if size <= 0:
            raise ValueError("size must be > 0")
        if overlap < 0:
            raise ValueError("overlap must be >= 0")
        if overlap >= size:
            raise ValueError("overlap must be < size")
        length = len(self.text)
        last_start = max(length - overlap, min(length, 1))
        return [
            (start, min(length, start + size), self.text[start : start + size])
            for start in range(0, last_start, size - overlap)
        ]

    def chunk_documents(self, docs_per_chunk: int = 10) -> list[tuple[int, int, list[str]]]:
        """The documents in groups as (first index, index after the last, documents)."""
        if docs_per_chunk <= 0:
            raise ValueError("docs_per_chunk must be > 0")
        documents = self.documents
        if not documents:
            return [] if self.context_type == "document_list" else [(0, 1, [self.text])]
        count = len(documents)
        return [
            (
                start,
                min(count, start + docs_per_chunk),
                list(documents[start : start + docs_per_chunk]),
            )
            for start in range(0, count, docs_per_chunk)
        ]

    def page(self, page_number: int, *, marker_pattern: str = PAGE_MARKER) -> str | None:
        """The text after the marker of page `page_number` up to the next marker, or None.

        The one group of `marker_pattern` is the page's number.
        """
        start: int | None = None
        for match in re.finditer(marker_pattern, self.text):
            if start is not None:
                return self.text[start : match.start()]
            if int(match[1]) == page_number:
                start = match.end()
        return None if start is None else self.text[start:]

    def metadata(self) -> dict[str, object]:
        """What a model is told of the context before it has seen any of it."""
        facts: dict[str, object] = {
            "context_type": self.context_type,
            "total_length": self.len_chars(),
            "num_documents": self.num_documents(),
        }
        if self.context_type == "document_list" and len(self.documents) > 1:
            facts["document_lengths"] = self.document_lengths()
        return facts


def _occurrences(text: str, pattern: str, most: int) -> list[tuple[int, int, str]]:
    """The first places of a text, as `re` finds them, which takes several times as long."""
    found: list[tuple[int, int, str]] = []
    start = text.find(pattern)
    while start >= 0 and len(found) < most:
        end = start + len(pattern)
        found.append((start, end, pattern))
        start = text.find(pattern, end)
    return found


def _evenly_joined(text: str, documents: Sequence[str]) -> list[int] | None:
    """Starts and ends of documents that were joined by one separator into `text`, or None."""
    if not documents:
        return []
    spare = len(text) - sum(map(len, documents))
    gaps = len(documents) - 1
    gap, rest = divmod(spare, gaps) if gaps else (0, spare)
    if spare < 0 or rest:
        return None
    bounds: list[int] = []
    position = 0
    for document in documents:
        if not text.startswith(document, position):
            return None
        bounds += [position, position + len(document)]
        position += len(document) + gap
    return bounds
