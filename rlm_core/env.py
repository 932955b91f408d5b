"""The session under the names that older programs import them by."""

from __future__ import annotations

from typing import Protocol

from rlm_sandbox import ExecResult, PythonREPL

__all__ = ["ExecResult", "PythonREPL", "REPLProtocol"]


class REPLProtocol(Protocol):
    """A Python session: `PythonREPL` is one, whose code runs in a process of its own."""

    def exec(self, code: str) -> ExecResult:
        """Run a cell."""
        ...

    def get(self, name: str) -> object:
        """A variable, or None where there is none."""
        ...

    def set(self, name: str, value: object) -> None:
        """Set a variable."""
        ...
