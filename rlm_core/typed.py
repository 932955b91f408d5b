"""An answer of the type that was asked for, or what is wrong with it: as the loop sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from rlm_core.stimuli import Value


class Typed(Struct, frozen=True):
    """The answer, as the type that was asked for."""

    value: object


class Mistyped(Struct, frozen=True):
    """The answer is not of that type; `error` tells the model what to put right."""

    error: str


class AnswerReader(Protocol):
    """The type that an answer must have (`rlm_core.answer_type`), as the loop sees it."""

    def read(self, value: Value) -> Typed | Mistyped:
        """The value as this type, or what is wrong with it."""
        ...
