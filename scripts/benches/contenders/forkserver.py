"""multiprocessing with its fork server: a process a session, no isolation."""

from __future__ import annotations

import io
import multiprocessing
from contextlib import redirect_stdout
from multiprocessing.connection import Connection

from scripts.benches.contenders.sessions import Work, give_back

CONTEXT = multiprocessing.get_context("forkserver")


def serve(pipe: Connection) -> None:
    """The child: execute what comes until nothing comes any more."""

    def f(value: object) -> object:
        pipe.send(("call", value))
        return pipe.recv()

    names: dict[str, object] = {"f": f}
    while True:
        try:
            kind, *content = pipe.recv()
        except EOFError:
            return
        if kind == "text":
            names[content[0]] = content[1]
            pipe.send(("said", ""))
            continue
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                exec(compile(content[0], "<cell>", "exec"), names)
            pipe.send(("said", said.getvalue()))
        except Exception as error:  # noqa: BLE001 - it is told to the other side
            pipe.send(("failed", repr(error)))


class Forked:
    """A session in a child of the fork server."""

    def __init__(self) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, code: str) -> str:
        """Callbacks are answered on the way."""
        self._pipe.send(("code", code))
        while True:
            kind, value = self._pipe.recv()
            if kind == "failed":
                raise RuntimeError(value)
            if kind == "said":
                return value
            self._pipe.send(give_back(value))

    def give(self, name: str, text: str) -> None:
        self._pipe.send(("text", name, text))
        self._pipe.recv()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


TASKS = Work(Forked, None).tasks("spare")
