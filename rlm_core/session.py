"""An episode's Python session: a sandbox that holds the context and the helpers of `guest`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rlm_core import prelude
from rlm_core.stimuli import Value, value_of
from rlm_sandbox.errors import NameNotFound, SandboxClosed, SessionLost, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rlm_core.context import Context
    from rlm_sandbox.modules import Modules
    from rlm_sandbox.result import ExecResult

ANSWER_DICT = "answer"
"""The variable of the answer-dict dialect: {"content": ..., "ready": True} ends the run."""
LONGEST_TEXT = 64_000_000
"""Characters of a value that are read when it is too long to cross at once."""
PIECE_CHARS = 1_000_000
MOST_PARTS = 40
"""Parts of `Limits.value_bytes` in which a large collection is read, failed attempts included."""
_COLLECTIONS: dict[str, Callable[[list[Any]], object]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
}
_TEXT_NAME = "_rlm_text"
_LENGTH_NAME = "_rlm_length"
_KIND_NAME = "_rlm_is_text"
_PIECE_NAME = "_rlm_piece"
_WORD = re.compile(r"\w+")
_MOST_CHANGES = 12
_LONGEST_CHANGE = 200


class Box(Protocol):
    """The part of `rlm_sandbox.Sandbox` that an episode uses."""

    isolation: str

    def exec(self, code: str) -> ExecResult:
        """Run a cell."""
        ...

    def get(self, name: str) -> object:
        """Read a variable."""
        ...

    def set(self, name: str, value: object) -> None:
        """Set a variable."""
        ...

    def load(self, name: str, text: str) -> None:
        """Give the session a large protected text."""
        ...

    def holds(self, name: str, text: str) -> bool:
        """Whether this text is there already: it is the context of a pool."""
        ...

    def install(
        self,
        source: str,
        values: Mapping[str, object] | None = None,
        modules: Modules | None = None,
    ) -> None:
        """Run a trusted prelude."""
        ...

    def describe(self) -> dict[str, str]:
        """Type and preview of the session's variables."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


@dataclass(frozen=True)
class CellReport:
    """What a cell did, and what it changed."""

    result: ExecResult
    changes: str
    submitted: Value | None


class Session:
    """A sandbox prepared for one episode. Close it when the episode ends."""

    def __init__(self, box: Box, context: Context, *, parallel: bool, seed: int = 0) -> None:
        self.box = box
        if not box.holds("P", context.text):
            box.load("P", context.text)
        apart = prelude.documents_apart(context)
        if apart is not None:
            box.load("DOCUMENTS_TEXT", apart)
        values = prelude.values_of(context, parallel=parallel, seed=seed)
        box.install(prelude.SOURCE, values, prelude.helper_modules())
        self._variables: dict[str, str] = {}
        self._may_answer = False  # whether code has spoken of the answer dict

    @property
    def isolation(self) -> str:
        """The isolation that the code runs under, as the sandbox reports it."""
        return self.box.isolation

    def run(self, code: str) -> CellReport:
        """Run a cell. What the code does wrong is in the report.

        Looking at the variables costs a step most of its time, so it is done where it is of use:
        where a cell says nothing else, for what it changed (since they were looked at last), and
        where there may be an answer dict.
        """
        result = self.box.exec(code)
        self._may_answer = self._may_answer or ANSWER_DICT in code
        silent = not result.stdout and result.error is None
        if not (silent or self._may_answer):
            return CellReport(result, "", None)
        before = self._variables
        with suppress(SessionLost, SandboxClosed):  # then nothing is known, which is shown as such
            self._variables = self.box.describe()
        changed = changes(before, self._variables, spoken_of=code)
        return CellReport(result, changed, self._answer_dict())

    def inherited(self) -> str:
        """The variables that a fork begins with, one a line, as `changes` shows them."""
        self._variables = self.box.describe()
        lines = [f"- {name} = {text[:_LONGEST_CHANGE]}" for name, text in self._variables.items()]
        return "\n".join(_shortened(lines))

    def read(self, names: Iterable[str]) -> dict[str, Value]:
        """The variables of these names, as text; those that do not exist are left out."""
        found = {name: self._value(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def clear(self, name: str) -> None:
        """Set a variable to None."""
        with suppress(SessionLost, SandboxClosed):
            self.box.set(name, None)

    def close(self) -> None:
        """End the session."""
        self.box.close()

    def _value(self, name: str) -> Value | None:
        try:
            value = self.box.get(name)
        except ValueRefused:
            return self._in_parts(name) or self._as_text(name)
        except (NameNotFound, SessionLost, SandboxClosed):
            return None
        return value_of(value)

    def _in_parts(self, name: str) -> Value | None:
        """A collection that is too large to cross at once, part by part; None for anything else."""
        self.box.exec(
            f"_rlm_kind = type({name}).__name__\n"
            f"_rlm_items = list({name}.items() if _rlm_kind == 'dict' else {name}) "
            f"if _rlm_kind in {tuple(_COLLECTIONS)} else []\n"
            "_rlm_count = len(_rlm_items)"
        )
        try:
            make = _COLLECTIONS.get(str(self.box.get("_rlm_kind")))
            count = self.box.get("_rlm_count")
            items = self._items(count) if isinstance(count, int) else []
        except (NameNotFound, ValueRefused, SessionLost, SandboxClosed):
            return None
        finally:
            with suppress(SessionLost, SandboxClosed):
                self.box.exec("del _rlm_kind, _rlm_items, _rlm_count, _rlm_part")
        return value_of(make(items)) if make is not None and items else None

    def _items(self, count: int) -> list[Any]:
        """All items, as many at once as may cross. Raises ValueRefused for too much in all."""
        items: list[Any] = []
        size = max(1, count // 2)
        for _ in range(MOST_PARTS):
            self.box.exec(f"_rlm_part = _rlm_items[{len(items)} : {len(items) + size}]")
            try:
                part = self.box.get("_rlm_part")
            except ValueRefused:
                if size == 1:
                    raise
                size //= 2
                continue
            items += part if isinstance(part, list) else []
            if len(items) >= count:
                return items
        raise ValueRefused("the value is too large to be read, even in parts")

    def _as_text(self, name: str) -> Value | None:
        """A value that does not cross as itself (an object, or too long) as the text it makes."""
        self.box.exec(
            f"{_TEXT_NAME} = str({name})[:{LONGEST_TEXT}]\n"
            f"{_LENGTH_NAME} = len({_TEXT_NAME})\n"
            f"{_KIND_NAME} = isinstance({name}, str)"
        )
        try:
            length = self.box.get(_LENGTH_NAME)
            kind = "text" if self.box.get(_KIND_NAME) is True else "other"
            pieces = [self._piece(start) for start in _starts(length)]
        except (NameNotFound, ValueRefused, SessionLost, SandboxClosed):
            return None
        finally:
            with suppress(SessionLost, SandboxClosed):
                self.box.exec(f"del {_TEXT_NAME}, {_LENGTH_NAME}, {_KIND_NAME}, {_PIECE_NAME}")
        return Value("".join(pieces), kind)

    def _piece(self, start: int) -> str:
        self.box.exec(f"{_PIECE_NAME} = {_TEXT_NAME}[{start} : {start + PIECE_CHARS}]")
        piece = self.box.get(_PIECE_NAME)
        return piece[:PIECE_CHARS] if isinstance(piece, str) else ""

    def _answer_dict(self) -> Value | None:
        if not self._variables.get(ANSWER_DICT, "").startswith("dict"):
            return None
        try:
            answer = self.box.get(ANSWER_DICT)
        except (NameNotFound, ValueRefused, SessionLost, SandboxClosed):
            return None
        if not isinstance(answer, dict) or not answer.get("ready") or "content" not in answer:
            return None
        return value_of(answer["content"])


def changes(before: Mapping[str, str], after: Mapping[str, str], *, spoken_of: str = "") -> str:
    """New, changed and removed variables, one a line; empty where nothing changed.

    Those that are spoken of in the code come first: the others changed in cells before it.
    """
    words = frozenset(_WORD.findall(spoken_of))
    lines = [
        f"- {'updated' if name in before else 'new'}: {name} = {text[:_LONGEST_CHANGE]}"
        for name, text in sorted(after.items(), key=lambda item: item[0] not in words)
        if before.get(name) != text
    ]
    lines += [f"- removed: {name}" for name in before if name not in after]
    return "\n".join(["REPL state changes:", *_shortened(lines)]) if lines else ""


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_CHANGES
    return [*lines[:_MOST_CHANGES], f"- and {more} more"] if more > 0 else lines


def seed_of(run_seed: int, episode: str) -> int:
    """The seed of `random` in an episode's session: from the run's seed, always the same."""
    digest = hashlib.sha256(f"{run_seed}:{episode}".encode()).digest()
    return int.from_bytes(digest[:6])


def _starts(length: object) -> range:
    """Where the pieces of a text begin, whose length the session may have lied about."""
    most = min(length, LONGEST_TEXT) if isinstance(length, int) else 0
    return range(0, most, PIECE_CHARS)
