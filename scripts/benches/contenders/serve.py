"""`rlm serve` before a model that takes 50 ms, and the same model asked directly."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from scripts.benches.contenders import slow_model

TEXT = "Nothing of interest is said here. " * 3_000 + "Ann built the bridge."
QUESTION = {"role": "user", "content": "Who built the bridge?"}
BODIES = {
    "straight": {"model": "tiny", "messages": [QUESTION]},
    "runs": {"model": "tiny", "messages": [{"role": "user", "content": TEXT}, QUESTION]},
}
CALLS = {"straight": 1, "runs": 3}
"""Calls of the model, one after the other, that an answer of each kind takes."""


@dataclass
class Servers:
    """Both servers; they are started with the first request and live as long as this process."""

    ports: dict[str, int] = field(default_factory=dict)
    process: psutil.Process | None = None

    def port(self, target: str) -> int:
        """Of "ours" or "model"."""
        if not self.ports:
            program = Path(slow_model.__file__)
            model = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE)
            assert model.stdout is not None
            self.ports["model"] = int(model.stdout.readline())
            self._start_ours()
        return self.ports[target]

    def _start_ours(self) -> None:
        url = f"http://127.0.0.1:{self.ports['model']}/v1"
        serve = [sys.executable, "-m", "rlm_core.cli", "serve", "--port", "0"]
        room = ["--straight", "512", "--queue", "1024", "--runs", "64"]
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "told"
            with told.open("w") as stderr:
                ours = subprocess.Popen(
                    [*serve, "--model", "tiny", "--base-url", url, *room], stderr=stderr
                )
            while "http" not in told.read_text() and ours.poll() is None:
                time.sleep(0.05)
            self.ports["ours"] = int(_matched(r"http://127\.0\.0\.1:(\d+)/", told.read_text()))
        self.process = psutil.Process(ours.pid)


SERVERS = Servers()


def rate(target: str, way: str, clients: int, count: int) -> list[float]:
    """Answers a second to so many requests of so many clients."""
    began = time.perf_counter()
    asyncio.run(_asked(target, way, clients, count))
    return [count / (time.perf_counter() - began)]


def latency(target: str, way: str, clients: int, count: int) -> list[float]:
    """Seconds of each answer."""
    return asyncio.run(_asked(target, way, clients, count))


def memory(count: int, runs_among: int) -> list[int]:
    """Bytes of our server's own memory after so many more requests."""
    runs = count // runs_among
    asyncio.run(_asked("ours", "straight", 32, count - runs))
    asyncio.run(_asked("ours", "runs", 8, runs))
    assert SERVERS.process is not None
    return [SERVERS.process.memory_info().rss]


async def _asked(target: str, way: str, clients: int, count: int) -> list[float]:
    port = SERVERS.port(target)
    seconds: list[float] = []
    left = iter(range(count))
    await asyncio.gather(*(_client(port, target, way, left, seconds) for _ in range(clients)))
    return seconds


async def _client(
    port: int, target: str, way: str, left: Iterator[int], seconds: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = _request(way)
    calls = CALLS[way] if target == "model" else 1
    for _ in left:
        began = time.perf_counter()
        for _ in range(calls):
            writer.write(request)
            await _answer(reader)
        seconds.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def _request(way: str) -> bytes:
    body = json.dumps(BODIES[way]).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    body = await reader.readexactly(int(_matched(r"(?i)content-length: (\d+)", head)))
    if not head.startswith("HTTP/1.1 200"):
        raise RuntimeError(f"no answer: {body[:200]!r}")


def _matched(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"not as expected: {text!r}")
    return found[1]


TASKS = {"rate": rate, "latency": latency, "memory": memory}
