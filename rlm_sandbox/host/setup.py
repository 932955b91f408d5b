"""What a session is given between steps, kept so that it can be given again.

A worker that replaces another before the first step gets all of it; a checkpoint that is woken gets
what came after it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from rlm_sandbox.errors import ControllerExhausted
from rlm_sandbox.host.link import Link


@dataclass(frozen=True)
class Text:
    """A text under a protected name."""

    name: str
    text: str = field(repr=False)

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        data = self.text.encode("utf-8", "surrogatepass")
        descriptor = _in_memory(data)
        try:
            link.load(self.name, descriptor, len(data))
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Prelude:
    """Trusted source, and the values it is given."""

    source: str
    values: Mapping[str, object]

    def replaces(self, other: SetUp) -> bool:
        return self == other

    def apply(self, link: Link) -> None:
        link.install(self.source, self.values)


@dataclass(frozen=True)
class Variable:
    """A value that the session was given."""

    name: str
    encoded: bytes = field(repr=False)
    """As it was when it was given: the caller may change his own since."""

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        link.give(self.name, self.encoded)


SetUp = Text | Prelude | Variable


def _in_memory(data: bytes) -> int:
    """A descriptor of a file without a name that holds these bytes. Raises ControllerExhausted."""
    descriptor = -1
    try:
        descriptor = os.memfd_create("rlm-text", os.MFD_CLOEXEC)
        _write_all(descriptor, data)
    except BaseException as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise ControllerExhausted(
                f"the text cannot be handed over ({error.strerror}); nothing has changed"
            ) from None
        raise
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # one write(2) moves 2 GiB at most
        rest = rest[os.write(descriptor, rest) :]
