"""The official client against a server in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import rlm_core
from tests.e2e.official import DOCUMENT, Asking, openai
from tests.rlm_core.adapters.chat_server import ChatServer, Hang
from tests.rlm_core.serve.serving import SECONDS, model_that, usage

if TYPE_CHECKING:
    from typing import Self

pytest.importorskip("starlette", reason="rlm serve needs starlette: pip install --group test")

KEY = "a-key-for-this-test-alone"
CODE = "```python\nhits = ctx.find('Ann built it')\nsaid = llm_query('who?')\n```"


class ServerProcess:
    """`rlm serve` before a model's server; ended by SIGTERM when the block is left."""

    def __init__(self, model: ChatServer | None, *flags: str) -> None:
        command = [sys.executable, "-m", "rlm_core.cli", "serve", "--port", "0", *flags]
        if model is not None:
            command += ["--model", "tiny", "--base-url", model.base_url]
        own = ("PROXY", "LLM_", "OPENAI_", "RLM_")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not any(part in name.upper() for part in own)
        }
        environment["PYTHONPATH"] = str(Path(rlm_core.__file__).parents[1])
        environment["RLM_SERVE_KEYS"] = KEY
        self.process = subprocess.Popen(
            command,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,  # a group of its own, as a shell gives it one
        )
        self.told: list[str] = []
        self._ending = False

    def __enter__(self) -> Self:
        stderr = self.process.stderr
        assert stderr is not None
        for line in stderr:
            self.told.append(line)
            found = re.search(r"serving .* at (http://\S+/v1) ", line)
            if found:
                self.base_url = found[1]
                break
        else:
            pytest.fail(f"it does not serve: {self.told}")
        self._reading = threading.Thread(target=self.told.extend, args=(stderr,))
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        below: list[psutil.Process] = []
        if self.process.poll() is None and not self._ending:
            below = psutil.Process(self.process.pid).children(recursive=True)
            self.tell_to_end(signal.SIGTERM)
        try:
            self.code = self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self._reading.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
        psutil.wait_procs(below, timeout=5)
        left = [each for each in below if each.is_running()]
        assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []

    def tell_to_end(self, number: signal.Signals) -> None:
        """As a terminal does: every process of the group is told Ctrl-C."""
        self._ending = True
        if number is signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def until_it_refuses(self) -> None:
        """It has been told to end, and knows."""
        host, port = self.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), timeout=SECONDS).close()
            except ConnectionError:
                return
            time.sleep(0.01)
        pytest.fail("it still takes connections")

    def client(self, **options: Any) -> Any:
        return openai.OpenAI(base_url=self.base_url, **{"api_key": KEY, **options})


def finder(prompt: str) -> str:
    if prompt.endswith("who?"):
        return "It was Ann."
    return "FINAL_VAR: said" if CODE in prompt else CODE


def test_the_official_client_asks_in_every_way_that_it_knows() -> None:
    with model_that(finder) as model, ServerProcess(model) as server:
        with server.client() as client:
            _plain(client)
            _streamed(client)
            _models(client)
        asyncio.run(_async(server))
    assert server.code == 0
    assert all("Traceback" not in line for line in server.told)


def _plain(client: Any) -> None:
    said = client.chat.completions.create(model="rlm", messages=DOCUMENT, max_tokens=100)
    assert said.choices[0].message.content == "It was Ann."
    assert said.choices[0].finish_reason == "stop"
    assert said.usage.total_tokens == 330
    assert said.usage.rlm["sub"] == usage(100, 10)
    assert said._request_id
    raw = client.chat.completions.with_raw_response.create(model="tiny", messages=DOCUMENT)
    assert raw.parse().model == "tiny"


def _streamed(client: Any) -> None:
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(model="rlm", messages=DOCUMENT, **options))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "It was Ann."
    assert chunks[-1].usage.total_tokens == 330
    with client.chat.completions.stream(model="rlm", messages=DOCUMENT) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == "It was Ann."


def _models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["rlm", "tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


async def _async(server: ServerProcess) -> None:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        create = client.chat.completions.create
        said = await asyncio.gather(*(create(model="rlm", messages=DOCUMENT) for _ in range(4)))
        assert {each.choices[0].message.content for each in said} == {"It was Ann."}
        stream = await create(model="rlm", messages=DOCUMENT, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(pieces) == "It was Ann."


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_finished_code_and_all(how: signal.Signals) -> None:
    answering = threading.Event()

    def slow(prompt: str) -> str:
        assert answering.wait(SECONDS)
        return (
            "FINAL_VAR: said" if "'do' + 'ne'" in prompt else "```python\nsaid = 'do' + 'ne'\n```"
        )

    with (
        model_that(slow) as model,
        ServerProcess(model) as server,
        Asking(server.base_url, KEY) as asking,
    ):
        asking.until_the_model_is_asked(model)
        server.tell_to_end(how)
        server.until_it_refuses()
        answering.set()
    assert asking.said == ["done"]
    assert server.code == 0


def test_the_second_ctrl_c_ends_what_is_under_way() -> None:
    flags = ("--grace", "600")
    with ChatServer(Hang()) as model, ServerProcess(model, *flags) as server:
        with Asking(server.base_url, KEY) as asking:
            asking.until_the_model_is_asked(model)
            server.tell_to_end(signal.SIGINT)
            server.until_it_refuses()
            server.tell_to_end(signal.SIGINT)
            assert server.process.wait(SECONDS) == 0
        assert model.client_gone.wait(SECONDS)
    assert len(asking.said) == 1
    assert isinstance(asking.said[0], openai.APIError)
