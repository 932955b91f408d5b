"""The answer, given from within code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable


class Answers:
    """Functions of the session that end the run, over the host function that takes the answer.

    The host function is given the answer, and a text of it where that is not how `str` puts it.
    """

    def __init__(self, submit: Callable[..., object]) -> None:
        self._submit = submit

    def FINAL(self, answer: object) -> None:  # noqa: N802 - the field's own name
        """Give the answer from within code; the run ends after this cell."""
        self._hand_over(answer)

    def FINAL_VAR(self, name: object) -> None:  # noqa: N802 - the field's own name
        """Give the value of a variable (its name, or itself) as the answer."""
        session = sys._getframe(1).f_globals
        named = isinstance(name, str) and name in session
        self._hand_over(session[name] if named else name)

    def SUBMIT(self, *values: object, **fields: object) -> None:  # noqa: N802 - the field's own
        """Give the answer: one value, or several named fields, which become a JSON object."""
        if len(fields) == 1 and not values:
            values, fields = tuple(fields.values()), {}
        answer = values[0] if len(values) == 1 and not fields else [*values] or fields
        text = json.dumps(answer, ensure_ascii=False, default=str) if fields else None
        self._hand_over(answer, text)

    def _hand_over(self, answer: object, text: str | None = None) -> None:
        """As the data that it is, or, where that cannot cross, as its text."""
        said = getattr(answer, "text", None)
        plain = said if isinstance(said, str) else answer
        if hasattr(plain, "__dataclass_fields__"):
            import dataclasses

            plain = dataclasses.asdict(plain)  # ty: ignore[invalid-argument-type]
        try:
            self._submit(plain, text)
        except Exception as refused:
            if type(refused).__name__ != "ValueRefused":
                raise
            self._submit(str(answer) if text is None else text)
