"""A contender's process, seen from the bench: it is asked for tasks and answers with values."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

BOOT = Path(__file__).parent / "boot.py"
START_SECONDS = 120.0
LEAVE_SECONDS = 10.0


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
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        placement = [",".join(map(str, cores))] if cores else []
        self._process = subprocess.Popen(
            [python, str(BOOT), name, *placement],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # so that all that it started can be ended with it
        )
        try:
            self.tasks: frozenset[str] = frozenset(self._hear(START_SECONDS)["tasks"])
        except BaseException:
            self.close()
            raise

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
            raise ContenderFailed(f"{self.name} ended without an answer (see its words above)")
        return json.loads(line)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
