"""The official `openai` package, as tests ask with it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.rlm_core.serve.serving import LONG, SECONDS

if TYPE_CHECKING:
    from typing import Self

    from tests.rlm_core.adapters.chat_server import ChatServer

openai = pytest.importorskip("openai", reason="the official client: pip install --group test")

MODEL = "tiny"
"""A name by which every server of these tests knows its model."""
QUESTION = [{"role": "user", "content": "Who built the bridge?"}]
DOCUMENT = [{"role": "user", "content": LONG + "Ann built it." + LONG}, *QUESTION]


class Asking:
    """A client that waits for its answer, or for the error that it gets instead."""

    def __init__(self, base_url: str, key: str, messages: Any = DOCUMENT) -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=SECONDS)
        self._messages = messages
        self._thread = threading.Thread(target=self._ask)
        self.said: list[Any] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def until_the_model_is_asked(self, model: ChatServer) -> None:
        while not model.requests:
            assert self._thread.is_alive()
            self._thread.join(0.01)

    def _ask(self) -> None:
        with self._client:
            try:
                reply = self._client.chat.completions.create(model=MODEL, messages=self._messages)
                self.said.append(reply.choices[0].message.content)
            except openai.APIError as error:
                self.said.append(error)
