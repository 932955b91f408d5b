"""OpenAICompatAdapter finds its server and key where people put them."""

from __future__ import annotations

import pytest

from rlm_core.adapters import OpenAICompatAdapter
from rlm_core.adapters.openai_compat import OPENAI_URL
from tests.rlm_core.adapters.chat_server import ChatServer, chat

KEY = "sk-test-0123456789abcdef"
NAMES = ("LLM_BASE_URL", "OPENAI_BASE_URL", "LLM_API_KEY", "OPENAI_API_KEY")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_it_is_openai() -> None:
    assert OpenAICompatAdapter(model="m").identity == (
        f"OpenAICompatAdapter:{OPENAI_URL}/chat/completions:m"
    )


def test_server_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(chat("hi")) as server:
        monkeypatch.setenv("LLM_BASE_URL", server.base_url)
        monkeypatch.setenv("LLM_API_KEY", KEY)
        with OpenAICompatAdapter(model="m") as model:
            assert model.complete([{"role": "user", "content": "hello"}]).text == "hi"
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("LLM_API_KEY", "sk-from-the-environment")
    with (
        ChatServer(chat("hi")) as server,
        OpenAICompatAdapter(model="m", base_url=server.base_url, api_key=KEY) as model,
    ):
        assert model.complete([{"role": "user", "content": "hello"}]).text == "hi"
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
