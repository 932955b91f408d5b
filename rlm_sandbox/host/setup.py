"""What a session is given between steps, kept so that it can be given again.

A worker that replaces another before the first step gets all of it; a checkpoint that is woken gets
what came after it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rlm_sandbox.host.link import Link
from rlm_sandbox.host.texts import copied, file_of, opened, take_back
from rlm_sandbox.modules import Modules

SHORT_CHARS = 32 * 1024
"""A text that is no longer goes in a message: a file and leave to hold it take several."""


@dataclass(frozen=True)
class Text:
    """A text under a protected name."""

    name: str
    text: str = field(repr=False)

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | File | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        if len(self.text) <= SHORT_CHARS:
            link.protect(self.name, self.text.encode("utf-8", "surrogatepass"))
            return
        descriptor, size = file_of(self.text)
        try:
            link.load(self.name, descriptor, size)
        finally:
            take_back(descriptor)


@dataclass(frozen=True)
class File:
    """A file of UTF-8 text under a protected name."""

    name: str
    path: Path

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | File | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        descriptor, size = opened(self.path)
        give_back = os.close
        if not link.pristine:  # who has our file may do to it what its owner may: chmod(2)
            descriptor, size = copied(descriptor, size)
            give_back = take_back
        try:
            link.load(self.name, descriptor, size)
        finally:
            give_back(descriptor)


@dataclass(frozen=True)
class Prelude:
    """Trusted source, the values it is given, and the modules that it imports."""

    source: str
    values: Mapping[str, object]
    modules: Modules | None = None

    def replaces(self, other: SetUp) -> bool:
        return self == other

    def apply(self, link: Link) -> None:
        link.install(self.source, self.values, self.modules)


@dataclass(frozen=True)
class Variable:
    """A value that the session was given."""

    name: str
    encoded: bytes = field(repr=False)
    """As it was when it was given: the caller may change his own since."""

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | File | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        link.give(self.name, self.encoded)


SetUp = Text | File | Prelude | Variable
