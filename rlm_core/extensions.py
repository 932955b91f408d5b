"""Functions and values that a caller adds to the session: `RLM(repl_extensions=...)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm_core.errors import ConfigError
from rlm_sandbox.errors import NameNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rlm_core.session import Box


class ReplView:
    """The session as an extension sees it, from the moment that it is open.

    `get` of llm_query, llm_batch, P and ctx gives what works here, in the host, also while the
    code waits for the extension's function. Other variables can only be reached between cells:
    SandboxBusy is raised within one.
    """

    def __init__(self) -> None:
        self._box: Box | None = None
        self._here: dict[str, object] = {}

    def attach(self, box: Box, here: Mapping[str, object]) -> None:
        """From now on the view shows this session; `here` is what the host has itself."""
        self._box = box
        self._here = dict(here)

    def get(self, name: str) -> object:
        """A variable, or None where there is none."""
        box = self._opened()
        if name in self._here:
            return self._here[name]
        try:
            return box.get(name)
        except NameNotFound:
            return None

    def set(self, name: str, value: object) -> None:
        """Set a variable to plain data."""
        self._opened().set(name, value)

    def _opened(self) -> Box:
        if self._box is None:
            raise ConfigError(
                "the session is not open yet: return functions and values from repl_extensions "
                "instead of using the session there"
            )
        return self._box


@dataclass(frozen=True)
class SessionExtras:
    """What one session gets beyond the helpers."""

    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)
    view: ReplView = field(default_factory=ReplView)

    def attach(self, box: Box, here: Mapping[str, object]) -> None:
        """Give an opened session its values."""
        self.view.attach(box, here)
        for name, value in self.values.items():
            box.set(name, value)


@dataclass(frozen=True)
class Extensions:
    """Makes the extras of each session."""

    functions: Mapping[str, Callable[..., object]]
    make: Callable[..., Mapping[str, object] | None] | None
    rlm: object
    log: Callable[..., None]

    def for_session(self) -> SessionExtras:
        """The extras of a session that is about to be opened."""
        if self.make is None:
            return SessionExtras(self.functions)
        view = ReplView()
        made = self.make(rlm=self.rlm, repl=view, retriever=None, log_diag=self.log)
        functions = dict(self.functions)
        values: dict[str, object] = {}
        for name, value in (made or {}).items():
            if callable(value):
                functions[name] = value
            else:
                values[name] = value
        return SessionExtras(functions, values, view)
