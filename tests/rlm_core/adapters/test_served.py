"""What a server refuses is left out from then on; what it says is told with its source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rlm_core.adapters import BadReply, GenericChatAdapter, RequestRefused, Usage
from tests.rlm_core.adapters.chat_server import ChatServer, Judge, Stream, chat, events
from tests.rlm_core.adapters.providers import (
    ONLY_STREAMS,
    REASONING_MODEL,
    chunks,
    openai_error,
)

if TYPE_CHECKING:
    from tests.rlm_core.adapters.chat_server import Behaviour, Request

HELLO = [{"role": "user", "content": "hello"}]


def test_a_model_that_reasons_is_understood_and_its_wishes_are_remembered() -> None:
    with (
        ChatServer(REASONING_MODEL) as server,
        GenericChatAdapter(base_url=server.base_url, model="o") as model,
    ):
        first = model.complete(HELLO, max_tokens=7)
        refused = len(server.requests) - 1
        second = model.complete(HELLO, max_tokens=8)
        last = server.requests[-1].payload
    assert (first.text, second.text) == ("within 7", "within 8")
    assert (refused, len(server.requests)) == (2, 4)
    assert last == {"messages": HELLO, "model": "o", "max_completion_tokens": 8}
    assert first.usage == Usage(9, 70, 79)
    assert first.meta is not None
    assert first.meta["usage_details"] == {"reasoning_tokens": 64, "cached_tokens": 8}


def test_a_refusal_costs_no_retry_and_no_wait() -> None:
    with (
        ChatServer(REASONING_MODEL) as server,
        GenericChatAdapter(base_url=server.base_url, max_retries=0) as model,
    ):
        assert model.complete(HELLO, max_tokens=7).text == "within 7"


def test_many_threads_learn_together() -> None:
    texts: list[str] = []
    with (
        ChatServer(REASONING_MODEL) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
    ):
        threads = [
            threading.Thread(target=lambda: texts.append(model.complete(HELLO, max_tokens=7).text))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["within 7"] * 12


def test_a_server_that_only_streams_is_asked_for_a_stream() -> None:
    with (
        ChatServer(ONLY_STREAMS) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
    ):
        replies = [model.complete(HELLO) for _ in range(2)]
        assert len(server.requests) == 4
    assert [reply.text for reply in replies] == ["streamed words"] * 2
    assert replies[0].usage == Usage(4, 2, 6)
    assert replies[0].model_id == "streamer"
    assert replies[0].meta is not None
    assert replies[0].meta["finish_reason"] == "stop"


def test_a_server_that_cannot_stream_is_asked_without() -> None:
    def plain(request: Request) -> Behaviour:
        if "stream" not in request.payload:
            return chat("whole")
        message = "Unsupported value: 'stream' does not support true with this model."
        return openai_error(400, message, param="stream", code="unsupported_value")

    with (
        ChatServer(Judge(plain)) as server,
        GenericChatAdapter(base_url=server.base_url, stream=True) as model,
    ):
        assert model.complete(HELLO).text == "whole"
        assert len(server.requests) == 2


def test_a_server_that_refuses_whatever_it_is_sent_is_reported() -> None:
    message = "Unsupported parameter: 'temperature' is not supported with this model."
    refusal = openai_error(400, message, param="temperature", code="unsupported_parameter")
    with (
        ChatServer(refusal) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
    ):
        with pytest.raises(RequestRefused, match="'temperature' is not supported"):
            model.complete(HELLO)
        assert len(server.requests) == 2


def test_a_server_that_wants_a_stream_and_refuses_it_is_reported() -> None:
    def contrary(request: Request) -> Behaviour:
        if "stream" in request.payload:
            return openai_error(400, "unsupported", param="stream", code="unsupported_parameter")
        return openai_error(400, "This model only supports streaming.")

    with (
        ChatServer(Judge(contrary)) as server,
        GenericChatAdapter(base_url=server.base_url, deadline=20.0) as model,
    ):
        with pytest.raises(RequestRefused, match="only supports streaming"):
            model.complete(HELLO)
        assert len(server.requests) == 3


def test_a_temperature_out_of_range_is_the_callers_mistake_and_not_dropped() -> None:
    refusal = openai_error(400, "temperature must be between 0 and 2", param="temperature")
    with ChatServer(refusal) as server, GenericChatAdapter(base_url=server.base_url) as model:
        with pytest.raises(RequestRefused, match="between 0 and 2"):
            model.complete(HELLO, temperature=9.0)
        assert len(server.requests) == 1


def test_what_is_counted_and_what_is_estimated_is_told_apart() -> None:
    counted = chat("x" * 40, usage={"prompt_tokens": 3, "completion_tokens": 1})
    with (
        ChatServer(counted, chat("x" * 40), chat("x" * 40, usage={"total_tokens": 0})) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
    ):
        replies = [model.complete([{"role": "user", "content": "y" * 80}]) for _ in range(3)]
    assert [reply.usage for reply in replies] == [Usage(3, 1, 4), *[Usage(20, 10, 30)] * 2]
    sources = [reply.meta["usage_source"] for reply in replies if reply.meta is not None]
    assert sources == ["provider", "estimate", "estimate"]


def test_a_stream_without_usage_is_estimated() -> None:
    with (
        ChatServer(Stream((*chunks("x" * 40), *events("[DONE]")))) as server,
        GenericChatAdapter(base_url=server.base_url, stream=True) as model,
    ):
        reply = model.complete([{"role": "user", "content": "y" * 80}])
        assert server.requests[0].payload["stream_options"] == {"include_usage": True}
    assert reply.usage == Usage(20, 10, 30)
    assert reply.meta is not None
    assert reply.meta["usage_source"] == "estimate"


def test_thoughts_are_never_the_answer() -> None:
    message = {"role": "assistant", "content": "yes", "reasoning_content": "FINAL: no"}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
    thinking = {"choices": [{"index": 0, "delta": {"reasoning_content": "FINAL: no"}}]}
    stream = Stream((*events(thinking), *chunks("yes"), *events("[DONE]")))
    for behaviour in (stream, Stream(events(whole)), chat("yes", reasoning="FINAL: no")):
        with (
            ChatServer(behaviour) as server,
            GenericChatAdapter(base_url=server.base_url) as model,
        ):
            reply = model.complete(HELLO)
        assert reply.text == "yes"


def test_options_are_part_of_every_request_and_of_the_identity() -> None:
    with (
        ChatServer(chat("hi")) as server,
        GenericChatAdapter(
            base_url=server.base_url, model="m", options={"reasoning_effort": "low"}
        ) as model,
    ):
        model.complete(HELLO)
        assert server.requests[0].payload["reasoning_effort"] == "low"
        plain = GenericChatAdapter(base_url=server.base_url, model="m")
        high = GenericChatAdapter(
            base_url=server.base_url, model="m", options={"reasoning_effort": "high"}
        )
        assert len({model.identity, plain.identity, high.identity}) == 3


def test_an_empty_stream_is_a_bad_reply() -> None:
    with (
        ChatServer(Stream(events("[DONE]"))) as server,
        GenericChatAdapter(base_url=server.base_url) as model,
        pytest.raises(BadReply, match="choices"),
    ):
        model.complete(HELLO)
