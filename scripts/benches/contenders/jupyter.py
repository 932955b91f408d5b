"""A Jupyter kernel (ipykernel) and its client: a process a session, no isolation."""

from __future__ import annotations

import importlib
from typing import Any

from scripts.benches.contenders.sessions import Work, give_back

PRELUDE = "def f(value): return input(str(value))"


class Kernel:
    """A kernel of its own; `f` asks over the channel that `input` uses."""

    def __init__(self) -> None:
        manager = importlib.import_module("jupyter_client.manager")
        self._manager, self._client = manager.start_new_kernel()
        self._ran = False

    def run(self, code: str) -> str:
        """Until the kernel says that it is idle again."""
        if not self._ran:
            self._ran = True
            self.run(PRELUDE)
        said: list[str] = []
        reply = self._client.execute_interactive(
            code,
            store_history=False,
            allow_stdin=True,
            stdin_hook=self._answer,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError(str(reply["content"].get("evalue")))
        return "".join(said)

    def _answer(self, message: Any) -> None:
        self._client.input(give_back(message["content"]["prompt"]))

    def give(self, name: str, text: str) -> None:
        """As a literal: there is no other way in."""
        self.run(f"{name} = {text!r}")

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


TASKS = Work(Kernel, None).tasks("spare", "from_str")
