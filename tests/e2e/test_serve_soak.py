"""A server in the midst of everything that goes wrong: nothing of it is left, and it goes on."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.e2e.test_serve import KEY, ServerProcess
from tests.rlm_core.adapters.chat_server import (
    ChatServer,
    Drop,
    Hang,
    Judge,
    Reply,
    Stream,
    chat,
    json_reply,
)
from tests.rlm_core.serve.serving import LONG, SECONDS, asked, asked_of

if TYPE_CHECKING:
    from tests.rlm_core.adapters.chat_server import Behaviour, Request

ESCAPE = "import enum\nos = vars(enum.sys.modules['builtins'])['__import__']('os')\n"
HOSTILE = (
    "while True: pass",
    "x = [b'x' * 2**20 for _ in range(10**6)]",
    f"{ESCAPE}os.kill(0, 9)",
    f"{ESCAPE}while True: os.fork()",
    f"{ESCAPE}os.kill(os.getpid(), 11)",
    "import threading\nfor _ in range(99): threading.Thread(target=threading.Event().wait).start()",
    "print('x' * 10**8)",
    "raise SystemExit",
    "llm_batch(['who?'] * 50)",
)
REQUESTS = int(os.environ.get("RLM_SOAK_REQUESTS", "600"))
EXPECTED = {200, 400, 401, 404, 413, 422, 429, 500, 502, 503, 504}
PROFILE = """
[profiles.fast]
model = "tiny"
base_url = "{url}"
max_steps = 3
max_subcalls = 60
memory = "256MiB"
step_seconds = 1.0
"""


class Faulty:
    """A model that fails in every way, and answers now and then."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Behaviour:
        with self._lock:
            dice = self._random.random()
            hostile = self._random.choice(HOSTILE)
        slow = tuple(b" " for _ in range(10))
        match int(dice * 20):
            case 0:
                return json_reply({"error": {"message": "overloaded"}}, status=500)
            case 1:
                return Drop(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            case 2:
                return Stream((*slow, b"{}"), media_type="application/json", pause=0.05)
            case 3:
                return Reply(b"<html>no</html>", headers={"Content-Type": "text/html"})
            case 4:
                return json_reply({"error": {"message": "slow down"}}, 429, Retry_After="1")
            case 5:
                return Hang()
            case 6 | 7 | 8 | 9 | 10:
                return chat(f"```python\n{hostile}\n```")
        return chat("FINAL: done")


class Crowd:
    """Clients of every kind, who ask so many times in all."""

    def __init__(self, base_url: str, seed: int) -> None:
        self._url = f"{base_url}/chat/completions"
        self._seed = seed
        self.statuses: Counter[int] = Counter()

    def ask(self, number: int) -> None:
        dice = random.Random(self._seed * 1_000_003 + number)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        seconds = dice.choice([0.05, 0.3, SECONDS, SECONDS, SECONDS])
        with httpx.Client(timeout=seconds) as client, suppress(httpx.TransportError):
            body = self._body(dice)
            if isinstance(body, bytes):
                said = client.post(self._url, content=body, headers=headers)
            else:
                said = client.post(self._url, json=body, headers=headers)
            self.statuses[said.status_code] += 1
            assert "Traceback" not in said.text

    def _body(self, dice: random.Random) -> Any:
        match dice.randrange(8):
            case 0:
                return b"[" * dice.randrange(100_000)
            case 1:
                return asked("x" * 3_000_000)
            case 2:
                return {"model": "none", "messages": [{"role": "user", "content": "?"}]}
            case 3 | 4:
                return asked(stream=dice.random() < 0.5)
        return asked_of(LONG, stream=dice.random() < 0.5, rlm={"max_seconds": 4.0})


def kept(process: psutil.Process, model: ChatServer) -> Counter[str]:
    """What the server has: processes and descriptors, apart from connections to its model."""
    port = model.server_address[1]
    connections = [each for each in process.net_connections("inet") if each.raddr]
    to_model = sum(1 for each in connections if each.raddr.port == port)
    living = [p for p in process.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return Counter(processes=len(living), descriptors=process.num_fds() - to_model)


def at_rest(process: psutil.Process, model: ChatServer) -> Counter[str]:
    """What it has once that does not change any more: sandboxes stand ready for the next ones."""
    deadline = time.monotonic() + SECONDS
    looks = [kept(process, model)]
    while len(looks) < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = kept(process, model)
        looks = [*looks, now] if now == looks[-1] else [now]
    return looks[-1]


def settled(process: psutil.Process, model: ChatServer, before: Counter[str]) -> Counter[str]:
    """What it has once it has no more than before, or after a while."""
    deadline = time.monotonic() + SECONDS
    now = kept(process, model)
    while now - before and time.monotonic() < deadline:
        time.sleep(0.1)
        now = kept(process, model)
    return now


@pytest.mark.slow
def test_nothing_is_left_of_faults_disconnects_and_hostile_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    config = tmp_path / "serve.toml"
    with ChatServer(Judge(Faulty(seed=1))) as model:
        config.write_text(PROFILE.format(url=model.base_url))
        flags = ("--runs", "4", "--queue", "2", "--timeout", "8", "--max-request", "1MB")
        with ServerProcess(None, "--config", str(config), *flags) as server:
            process = psutil.Process(server.process.pid)
            crowd = Crowd(server.base_url, seed=1)
            for number in range(8):
                crowd.ask(number)
            before, memory = at_rest(process, model), process.memory_info().rss
            with ThreadPoolExecutor(16) as clients:
                list(clients.map(crowd.ask, range(8, REQUESTS)))
            now = settled(process, model, before)
            assert now - before == Counter(), f"it has more than before: {before} {now}"
            assert set(crowd.statuses) <= EXPECTED
            assert set(crowd.statuses) >= {200, 400, 404, 413, 502}, crowd.statuses
            assert crowd.statuses[200] > REQUESTS / 20
            assert process.memory_info().rss < 2 * memory + 100_000_000
            model.behaviours = [chat("FINAL: still here")]
            headers = {"authorization": f"Bearer {KEY}"}
            url = f"{server.base_url}/chat/completions"
            reply = httpx.post(url, json=asked_of(LONG), headers=headers, timeout=SECONDS).json()
            assert reply["choices"][0]["message"]["content"] == "still here"
            server.tell_to_end(signal.SIGTERM)
            assert server.process.wait(SECONDS) == 0
    assert list(temporary.iterdir()) == []
    assert not any("Traceback" in line for line in server.told), server.told
