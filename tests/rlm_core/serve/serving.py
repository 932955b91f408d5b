"""A server of ours on 127.0.0.1 in a thread, before a model's server that a test writes."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rlm_core.serve.keys import Keys
from rlm_core.serve.profile import Profile, Profiles
from rlm_core.serve.service import Service
from rlm_core.serve.settings import Settings
from tests.rlm_core.adapters.chat_server import ChatServer, Judge, chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from tests.rlm_core.adapters.chat_server import Behaviour, Request

NEEDED = "rlm serve needs starlette and uvicorn: pip install --group test"
SECONDS = 60.0
"""Far more than anything here takes; a test that waits for it fails."""
LONG = "Nothing of interest is said here. " * 400


class Serving:
    """A server, from here on until the block is left; then it ends as it would at SIGTERM."""

    def __init__(
        self,
        model: ChatServer | None,
        *,
        profile: dict[str, Any] | None = None,
        keys: Keys | None = None,
        turns: int = 2,
        **settings: Any,
    ) -> None:
        pytest.importorskip("starlette", reason=NEEDED)
        pytest.importorskip("uvicorn", reason=NEEDED)
        from rlm_core.serve.server import Server, address_of, listener

        base_url = None if model is None else model.base_url
        given: dict[str, Any] = {"model": "tiny", "base_url": base_url, **(profile or {})}
        self._socket = listener(Settings(port=0))
        self.url = address_of(self._socket)
        self.service = Service(
            Settings(port=0, turns=turns, **settings),
            Profiles({"fast": Profile(**given)}),
            keys or Keys({}),
        )
        self.server = Server(self.service)
        self._runs = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="test-server")

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._runs.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.server.should_exit:
            self.end()
        self._thread.join()
        self._socket.close()

    def end(self) -> None:
        """As a signal does, in the thread of the server."""
        self._loop.call_soon_threadsafe(self.server.end)

    def _serve(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._runs.set()
        await self.server.serve(sockets=[self._socket])

    def post(self, body: object, **headers: str) -> httpx.Response:
        """POST /v1/chat/completions with this body; bytes are sent as they are."""
        return self.request("POST", "/v1/chat/completions", body, **headers)

    def request(self, method: str, path: str, body: object = b"", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "application/json", **named}
        with httpx.Client(timeout=SECONDS) as client:
            return client.request(method, self.url + path, content=content, headers=sent)

    def metric(self, line: str) -> float:
        """The value of one line of /metrics; 0 where there is none."""
        for each in self.service.metrics.text().splitlines():
            name, _, value = each.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0


def asked(text: str = "Who built the bridge?", **more: Any) -> dict[str, Any]:
    """A request."""
    return {"model": "fast", "messages": [{"role": "user", "content": text}], **more}


def asked_of(context: str, text: str = "Who built the bridge?", **more: Any) -> dict[str, Any]:
    """A request with something to search."""
    earlier = {"role": "user", "content": context}
    return {"model": "fast", "messages": [earlier, {"role": "user", "content": text}], **more}


def model_that(decide: Callable[[str], str | Behaviour]) -> ChatServer:
    """A model's server that answers each prompt (all contents) as the test decides."""

    def judged(request: Request) -> Behaviour:
        decided = decide(prompt_of(request))
        return chat(decided, usage=usage(100, 10)) if isinstance(decided, str) else decided

    return ChatServer(Judge(judged))


def prompt_of(request: Request) -> str:
    messages = request.payload["messages"]
    assert isinstance(messages, list)
    return "\n".join(str(each["content"]) for each in messages)


def usage(prompt: int, completion: int) -> dict[str, int]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def events_of(text: str) -> Iterator[Any]:
    """The data of a stream of server-sent events; the last one is "[DONE]"."""
    for line in text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)
