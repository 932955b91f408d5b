"""What a session process holds in memory that is not charged to the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

TEXT_GROWTH = 4
"""A byte of UTF-8 takes at most so many bytes once decoded, at the widest character in the text."""


@dataclass(frozen=True)
class MemoryBase:
    """Sizes in bytes."""

    idle: int
    held: int = 0
    """Of the texts that were in its zygote already."""
    texts: Mapping[str, int] = field(default_factory=dict)
    """Of those that it was given since, by name: one that comes again is not charged for twice."""

    @property
    def contexts(self) -> int:
        return self.held + sum(self.texts.values())

    @property
    def total(self) -> int:
        return self.idle + self.contexts

    def with_text(self, name: str, size: int, grown: int) -> Self:
        """The same with a text of `size` bytes of UTF-8, for which the process grew by so much.

        It lets go of the text that had this name, if there was one.
        """
        taken = min(self.texts.get(name, 0) + max(grown, 0), TEXT_GROWTH * size)
        return replace(self, texts={**self.texts, name: taken})
