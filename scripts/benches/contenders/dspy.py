"""dspy's LocalInterpreter: a process a session; "it is not a security sandbox"."""

from __future__ import annotations

import importlib
from typing import Any

from scripts.benches.contenders.sessions import Work, give_back


class Local:
    """A session of the interpreter."""

    def __init__(self) -> None:
        module: Any = importlib.import_module("dspy.primitives.local_interpreter")
        self._interpreter = module.LocalInterpreter(tools={"f": give_back})
        self._interpreter.start()

    def run(self, code: str) -> str:
        return str(self._interpreter.execute(code) or "")

    def give(self, name: str, text: str) -> None:
        self._interpreter.execute("", variables={name: text})

    def close(self) -> None:
        self._interpreter.shutdown()


TASKS = Work(Local, None).tasks("spare", "from_str")
