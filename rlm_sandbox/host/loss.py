"""What a caller is told when a session process was lost outside a step."""

from __future__ import annotations

from typing import assert_never

from rlm_sandbox.errors import AnswerLost, SessionLost
from rlm_sandbox.verdict import Remains


def over_a_question(remains: Remains, error: Exception) -> AnswerLost | SessionLost:
    """The process died (`error`) while it was asked something: what to raise for what is left."""
    match remains:
        case Remains.ALL | Remains.AS_BEFORE:
            return AnswerLost(
                f"the worker died while it answered ({error}); its variables are as before"
            )
        case Remains.AS_EARLIER:
            return AnswerLost(
                f"the worker died while it answered ({error}); its variables are as they were "
                "before the last step, which could not be saved"
            )
        case Remains.NOTHING:
            return SessionLost(
                f"the worker was lost while it answered ({error}); the next use starts empty"
            )
        case _:
            assert_never(remains)


def untold(remains: Remains) -> str | None:
    """An exception of the caller's own (Ctrl-C) ended a use: what the next use begins by saying."""
    match remains:
        case Remains.ALL | Remains.AS_BEFORE:
            return None
        case Remains.AS_EARLIER:
            return (
                "a use of this sandbox was interrupted while the step before was being saved: the "
                "variables are as they were before that step"
            )
        case Remains.NOTHING:
            return (
                "a use of this sandbox was interrupted at a moment that lost its variables; the "
                "next use starts empty"
            )
        case _:
            assert_never(remains)
