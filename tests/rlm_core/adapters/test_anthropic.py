"""AnthropicAdapter speaks to a server that is as strict as the Messages API."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rlm_core.adapters import (
    AnthropicAdapter,
    KeyRefused,
    ModelError,
    RateLimited,
    RequestRefused,
    ServerFailed,
    Unreachable,
    Usage,
)
from tests.rlm_core.adapters.chat_server import ChatServer, Hang, Stream, json_reply
from tests.rlm_core.adapters.providers import (
    ANTHROPIC,
    CLAUDE,
    KEY,
    anthropic_error,
    anthropic_events,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.rlm_core.adapters.chat_server import Behaviour

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
OVERLOADED = anthropic_error(529, "overloaded_error", "Overloaded")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)


@contextmanager
def adapter_to(
    server: ChatServer, *, stream: bool = False, options: Mapping[str, object] | None = None
) -> Generator[AnthropicAdapter]:
    with AnthropicAdapter(
        model=CLAUDE,
        base_url=server.base_url,
        stream=stream,
        options=options,
        retry_base_delay=0.001,
        retry_max_delay=0.002,
        max_retries=2,
    ) as adapter:
        yield adapter


def failure(*behaviours: Behaviour) -> ModelError:
    with (
        ChatServer(*behaviours) as server,
        adapter_to(server) as model,
        pytest.raises(ModelError) as caught,
    ):
        model.complete(HELLO)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_question_is_sent_and_its_answer_read() -> None:
    with ChatServer(ANTHROPIC) as server, adapter_to(server) as model:
        reply = model.complete(HELLO, max_tokens=7)
        request = server.requests[0]
    assert (reply.text, reply.usage, reply.model_id) == ("olleh", Usage(111, 15, 126), CLAUDE)
    assert reply.meta is not None
    assert reply.meta["finish_reason"] == "stop"
    assert reply.meta["usage_source"] == "provider"
    assert reply.meta["usage_details"] == {"cached_tokens": 100, "cache_creation_tokens": 0}
    assert request.payload == {
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 7,
        "temperature": 0.0,
        "model": CLAUDE,
    }
    assert "Authorization" not in request.headers


def test_a_stream_gives_the_same_answer() -> None:
    with ChatServer(ANTHROPIC) as server, adapter_to(server, stream=True) as model:
        reply = model.complete(HELLO)
        assert server.requests[0].payload["stream"] is True
    assert (reply.text, reply.usage, reply.model_id) == ("olleh", Usage(111, 15, 126), CLAUDE)
    assert reply.meta is not None
    assert (reply.meta["finish_reason"], reply.meta["reasoning_blocks"]) == ("stop", 1)


def test_a_model_that_thinks_is_asked_without_a_temperature_from_then_on() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with ChatServer(ANTHROPIC) as server, adapter_to(server, options=thinking) as model:
        assert [model.complete(HELLO).text for _ in range(2)] == ["olleh"] * 2
        assert ["temperature" in request.payload for request in server.requests] == [
            True,
            False,
            False,
        ]


def test_an_overloaded_server_is_tried_again() -> None:
    with ChatServer(OVERLOADED, OVERLOADED, ANTHROPIC) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "olleh"


def test_a_server_that_stays_overloaded_is_reported() -> None:
    error = failure(OVERLOADED)
    assert isinstance(error, ServerFailed)
    assert "overloaded" in str(error)
    assert error.status == 529


def test_being_overloaded_in_the_middle_of_a_stream_is_tried_again() -> None:
    half = anthropic_events("half")[:5]
    error = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'
    with (
        ChatServer(Stream((*half, error)), ANTHROPIC) as server,
        adapter_to(server, stream=True) as model,
    ):
        assert model.complete(HELLO).text == "olleh"
        assert len(server.requests) == 2


@pytest.mark.parametrize("then", ["cut", "close", "end"])
def test_a_stream_that_breaks_off_is_tried_again_and_then_reported(then: str) -> None:
    broken = Stream(anthropic_events("half")[:5], then)  # ty: ignore[invalid-argument-type]
    with (
        ChatServer(broken, ANTHROPIC) as server,
        adapter_to(server, stream=True) as model,
    ):
        assert model.complete(HELLO).text == "olleh"
    error = failure(broken)
    assert isinstance(error, Unreachable)
    assert "before the reply was complete" in str(error)


def test_a_wrong_key_says_where_keys_come_from() -> None:
    error = failure(anthropic_error(401, "authentication_error", f"invalid x-api-key {KEY}"))
    assert isinstance(error, KeyRefused)
    assert "invalid x-api-key [key]" in str(error)
    assert "set ANTHROPIC_API_KEY" in str(error)


def test_no_key_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with (
        ChatServer(ANTHROPIC) as server,
        adapter_to(server) as model,
        pytest.raises(KeyRefused, match="a key is needed"),
    ):
        model.complete(HELLO)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (anthropic_error(400, "invalid_request_error", "no credit"), RequestRefused, "no credit"),
        (anthropic_error(404, "not_found_error", "model: x"), RequestRefused, "model's name"),
        (anthropic_error(413, "request_too_large", "too big"), RequestRefused, "too big"),
        (anthropic_error(429, "rate_limit_error", "slow down"), RateLimited, "slow down"),
        (anthropic_error(500, "api_error", "oops"), ServerFailed, "oops"),
        (json_reply({"completion": "text"}), ModelError, "no list of content blocks"),
        (json_reply({"content": [5]}), ModelError, "content block"),
    ],
)
def test_every_error_is_told_in_the_servers_words(
    reply: Behaviour, kind: type[ModelError], words: str
) -> None:
    error = failure(reply)
    assert isinstance(error, kind)
    assert words in str(error)


def test_a_wish_to_wait_longer_than_allowed_is_reported_at_once() -> None:
    limited = anthropic_error(429, "rate_limit_error", "slow down", Retry_After="3600")
    with ChatServer(limited) as server, adapter_to(server) as model:
        with pytest.raises(RateLimited, match="wait 3600 seconds"):
            model.complete(HELLO)
        assert len(server.requests) == 1


def test_a_call_in_flight_is_cancelled_with_its_connection() -> None:
    with ChatServer(Hang()) as server, adapter_to(server) as model:
        future = model.submit(HELLO)
        while not server.requests:
            threading.Event().wait(0.01)
        assert future.cancel()
        assert server.client_gone.wait(60)


def test_the_server_may_be_named_by_the_environment_with_or_without_v1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ChatServer(ANTHROPIC) as server:
        for url in (server.base_url, server.base_url.removesuffix("v1")):
            monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
            with AnthropicAdapter(model=CLAUDE) as model:
                assert model.complete(HELLO).text == "olleh"


def test_by_itself_it_is_anthropics_own_server_and_the_key_is_not_shown() -> None:
    model = AnthropicAdapter(model=CLAUDE)
    assert model.identity == f"AnthropicAdapter:https://api.anthropic.com/v1/messages:{CLAUDE}"
    assert KEY not in repr(model)


def test_headers_of_the_caller_are_sent_and_never_shown() -> None:
    secret = "a-secret-of-the-gateway"
    with (
        ChatServer(anthropic_error(400, "invalid_request_error", f"no {secret}")) as server,
        AnthropicAdapter(
            model=CLAUDE, base_url=server.base_url, headers={"x-gateway": secret}
        ) as model,
    ):
        with pytest.raises(RequestRefused) as caught:
            model.complete(HELLO)
        assert server.requests[0].headers["x-gateway"] == secret
    assert secret not in str(caught.value)


def test_no_key_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    busy = anthropic_error(529, "overloaded_error", f"busy, {KEY}")
    with (
        caplog.at_level(logging.DEBUG),
        ChatServer(busy, ANTHROPIC) as server,
        adapter_to(server) as model,
    ):
        model.complete(HELLO)
    assert "trying again" in caplog.text
    assert KEY not in caplog.text
