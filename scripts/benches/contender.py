"""A contender's process, seen from the bench: it is asked for tasks and answers with values."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

BOOT = Path(__file__).parent / "boot.py"
START_SECONDS = 120.0
LEAVE_SECONDS = 10.0
WORDS_KEPT = 400
"""Bytes of its standard error that are told when it fails."""


class ContenderFailed(Exception):
    """A contender could not start, did not answer in time, or says that its task failed."""


class Contender:
    """One contender on some cores. Raises ContenderFailed."""

    def __init__(
        self,
        name: str,
        cores: Sequence[int] = (),
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the contender
        own = python == sys.executable
        placement = [",".join(map(str, cores))] if cores else []
        self._process = subprocess.Popen(
            [python, str(BOOT), name, *placement],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**(os.environ if own else _foreign()), **(environment or {})},
            start_new_session=True,  # so that all that it started can be ended with it
        )
        try:
            self.tasks = self._greeted()
        except BaseException:
            self.close()
            raise

    def _greeted(self) -> frozenset[str]:
        """The names of its tasks, which it says first of all."""
        hello = self._hear(START_SECONDS)
        if "error" in hello:
            raise ContenderFailed(f"{self.name} cannot start: {hello['error']}")
        return frozenset(hello["tasks"])

    def ask(self, task: str, *, within: float = 120.0, **arguments: object) -> Any:
        """The value of a task, which may take so many seconds. Raises ContenderFailed."""
        assert self._process.stdin is not None
        line = json.dumps({"task": task, "arguments": arguments}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderFailed(f"{self.name} has ended before {task}") from None
        answer = self._hear(within)
        if "error" in answer:
            raise ContenderFailed(f"{self.name} failed at {task}: {answer['error']}")
        return answer["value"]

    def _hear(self, seconds: float) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None
        poll = select.poll()
        poll.register(output, select.POLLIN)
        if not poll.poll(seconds * 1000):
            self.close()
            raise ContenderFailed(f"{self.name} did not answer within {seconds:.0f} s")
        line = output.readline()
        if not line:
            raise ContenderFailed(f"{self.name} ended without an answer: {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        self._words.seek(0, os.SEEK_END)
        self._words.seek(-min(self._words.tell(), WORDS_KEPT), os.SEEK_END)
        return self._words.read().decode(errors="replace").strip() or "it said nothing"

    def close(self) -> None:
        """Let it end, and end what it has left behind. Idempotent."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        if self._process.returncode is None:
            end = os.pidfd_open(self._process.pid)
            poll = select.poll()
            poll.register(end, select.POLLIN)
            poll.poll(LEAVE_SECONDS * 1000)
            os.close(end)
            os.killpg(
                self._process.pid, signal.SIGKILL
            )  # its number is taken until it is waited for
            self._process.wait()
        self._words.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _foreign() -> dict[str, str]:
    """What another Python is told: not where this one finds its packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
