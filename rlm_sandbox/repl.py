"""A small REPL interface over a Sandbox, for programs that know no more than exec, get and set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Self

from rlm_sandbox.errors import NameNotFound
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import ExecResult
from rlm_sandbox.sandbox import Sandbox


class PythonREPL:
    """`exec`, `get` and `set` on a session that lives in a process of its own.

    `stdout_limit` is in characters. `allowed_modules` names the modules that the code may import;
    of a mapping, the keys count. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        *,
        stdout_limit: int = 16_000,
        allowed_modules: Collection[str] | Mapping[str, object] | None = None,
        isolation: str = "auto",
    ) -> None:
        self._box = Sandbox(
            limits=Limits(output_chars=stdout_limit),
            imports="safe" if allowed_modules is None else tuple(allowed_modules),
            isolation=isolation,
        )

    def exec(self, code: str) -> ExecResult:
        """Run one cell of code; a cell of white space does nothing."""
        if not code.strip():
            return ExecResult(stdout="")
        return self._box.exec(code)

    def get(self, name: str) -> object:
        """A variable's value, or None if there is none."""
        try:
            return self._box.get(name)
        except NameNotFound:
            return None

    def set(self, name: str, value: object) -> None:
        """Set a variable to plain data. Raises ValueRefused."""
        self._box.set(name, value)

    def snapshot_state(self) -> dict[str, str]:
        """A short description of every variable of the session, by name."""
        return self._box.describe()

    def describe_state(self, max_items: int = 20) -> str:
        """The same as text, one variable a line."""
        snapshot = self.snapshot_state()
        if not snapshot:
            return "No user variables available."
        lines = [f"{name} = {summary}" for name, summary in list(snapshot.items())[:max_items]]
        if len(snapshot) > max_items:
            lines.append(f"... and {len(snapshot) - max_items} more variable(s)")
        return "REPL state:\n" + "\n".join(lines)

    def show_vars(self) -> str:
        """The names and types of the session's variables in one line."""
        snapshot = self.snapshot_state()
        if not snapshot:
            return "No variables created yet. Write code to create variables first."
        kinds = (f"{name} ({_kind(text)})" for name, text in snapshot.items())
        return "Available variables: " + ", ".join(kinds)

    def close(self) -> None:
        """End the session. Idempotent."""
        self._box.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _kind(summary: str) -> str:
    """ "str" of "str[len=3] 'abc'"."""
    return summary.partition("[")[0].partition("(")[0]
