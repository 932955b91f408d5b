"""Blocks between ``` or ~~~ lines: also unclosed, indented, nested or on one line."""

from __future__ import annotations

import re
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.dialects import python

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = re.compile(r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*?)[ \t]*$")
_ONE_LINE = re.compile(r"^[ \t>]*```(?P<info>[A-Za-z]*)[ \t]+(?P<body>[^`\n]+?)[ \t]*```[ \t]*$")
_PYTHON = frozenset(
    {
        "code",
        "ipython",
        "ipython3",
        "py",
        "py3",
        "pycon",
        "pyrepl",
        "python",
        "python-repl",
        "python3",
        "repl",
        "tool_code",
    }
)

MOST_CLOSERS = 6  # fences inside the strings of one block, before we stop counting


class Language(Enum):
    """What a block says it holds."""

    PYTHON = auto()
    UNSAID = auto()
    OTHER = auto()


class Block(Struct, frozen=True):
    """One fenced block: its text without the fences."""

    language: Language
    info: str
    body: str
    closed: bool


class Fenced(Struct, frozen=True):
    """A text taken apart: its blocks, and what stands around them."""

    blocks: tuple[Block, ...]
    outside: str


def split(text: str) -> Fenced:
    """Take the fenced blocks out of a text."""
    lines = text.split("\n")
    blocks: list[Block] = []
    outside: list[str] = []
    number = 0
    while number < len(lines):
        taken = _block_at(lines, number)
        if taken is None:
            outside.append(lines[number])
            number += 1
            continue
        block, number = taken
        blocks.append(block)
    return Fenced(tuple(blocks), "\n".join(outside).strip())


def language_of(info: str) -> Language:
    """The language that the words after the opening fence name."""
    word = info.strip().strip("{}.").split(" ")[0].split(":")[0].split(",")[0].lower()
    if not word:
        return Language.UNSAID
    return Language.PYTHON if word in _PYTHON else Language.OTHER


def _block_at(lines: list[str], number: int) -> tuple[Block, int] | None:
    """The block that opens on this line, and the number of the first line after it."""
    whole = _ONE_LINE.match(lines[number])
    if whole is not None:
        block = Block(language_of(whole["info"]), whole["info"], whole["body"], closed=True)
        return block, number + 1
    opening = _OPEN.match(lines[number])
    if opening is None:
        return None
    language = language_of(opening["info"])
    closers = list(islice(_closers(lines, number + 1, opening["mark"]), MOST_CLOSERS))
    end = _right_closer(lines, number + 1, closers, language)
    body = [line.removeprefix(opening["indent"]) for line in lines[number + 1 : end]]
    closed = end < len(lines)
    return Block(language, opening["info"], "\n".join(body), closed), end + 1


def _closers(lines: list[str], start: int, mark: str) -> Iterator[int]:
    for number in range(start, len(lines)):
        line = lines[number].strip().lstrip("> \t")
        if line.startswith(mark) and not line.strip(mark[0]):
            yield number


def _right_closer(lines: list[str], start: int, closers: list[int], language: Language) -> int:
    """The line that closes the block: a fence inside a string of the code is not its end."""
    if not closers:
        return len(lines)
    if language is Language.PYTHON and len(closers) > 1:
        for end in closers:
            if python.tree_of("\n".join(lines[start:end])) is not None:
                return end
    return closers[0]
