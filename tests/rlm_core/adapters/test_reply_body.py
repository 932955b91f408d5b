"""A reply is read to its end and no further, whole or in a stream, however the stream ends."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rlm_core.adapters import BadReply, GenericChatAdapter, ModelTimeout, Unreachable, Usage
from tests.rlm_core.adapters.chat_server import ChatServer, Stream, chat, events
from tests.rlm_core.adapters.providers import KEY, chunks

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Literal

HELLO = [{"role": "user", "content": "hello"}]
USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
WHOLE = (*chunks("stream", "ed", usage=USAGE), *events("[DONE]"))
HALF = WHOLE[:2]
SAID = chunks("stream", "ed")  # to the last word, without usage and without an end
PING = b": ping\n\n"


@contextmanager
def adapter_to(
    server: ChatServer,
    *,
    timeout: float = 20.0,
    deadline: float = 60.0,
    max_reply_bytes: int = 100_000,
) -> Generator[GenericChatAdapter]:
    with GenericChatAdapter(
        base_url=server.base_url,
        api_key=KEY,
        timeout=timeout,
        deadline=deadline,
        max_reply_bytes=max_reply_bytes,
        max_retries=1,
        retry_base_delay=0.001,
    ) as adapter:
        yield adapter


def test_a_stream_that_nobody_asked_for_is_read() -> None:
    with ChatServer(Stream(WHOLE)) as server, adapter_to(server) as model:
        reply = model.complete(HELLO)
        assert "stream" not in server.requests[0].payload
    assert (reply.text, reply.usage) == ("streamed", Usage(4, 2, 6))


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
def test_a_stream_under_another_name_is_read(media_type: str) -> None:
    stream = Stream((PING, *WHOLE), media_type=media_type)
    with ChatServer(stream) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "streamed"


def test_a_connection_serves_one_stream_after_the_other() -> None:
    opened: set[int] = set()

    class Counting(ChatServer):
        def process_request(self, request: object, client_address: tuple[str, int]) -> None:
            opened.add(client_address[1])
            super().process_request(request, client_address)  # ty: ignore[invalid-argument-type]

    with Counting(Stream(WHOLE)) as server, adapter_to(server) as model:
        assert [model.complete(HELLO).text for _ in range(3)] == ["streamed"] * 3
    assert len(opened) == 1


def test_a_server_that_never_closes_after_the_last_event_is_not_waited_for() -> None:
    with (
        ChatServer(Stream(WHOLE, "hang")) as server,
        adapter_to(server, timeout=600.0, deadline=20.0) as model,
    ):
        assert model.complete(HELLO).usage == Usage(4, 2, 6)
        assert server.client_gone.wait(60)


@pytest.mark.parametrize("then", ["end", "close", "cut"])
def test_a_reply_that_was_said_to_its_end_needs_no_last_event(
    then: Literal["end", "close", "cut"],
) -> None:
    with ChatServer(Stream(SAID, then)) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "streamed"
        assert len(server.requests) == 1


def test_silence_after_the_last_word_is_no_failure() -> None:
    with ChatServer(Stream(SAID, "hang")) as server, adapter_to(server, timeout=1.5) as model:
        assert model.complete(HELLO).text == "streamed"
        assert len(server.requests) == 1


@pytest.mark.parametrize("then", ["end", "close", "cut"])
@pytest.mark.parametrize("piece", [b"", b'data: {"choices": [{"del'])
def test_a_stream_that_breaks_off_is_tried_again_and_then_reported(
    then: Literal["end", "close", "cut"], piece: bytes
) -> None:
    broken = Stream((*HALF, piece) if piece else HALF, then)
    with ChatServer(broken, Stream(WHOLE)) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "streamed"
    with (
        ChatServer(broken) as server,
        adapter_to(server) as model,
        pytest.raises(Unreachable, match="before the reply was complete"),
    ):
        model.complete(HELLO)


def test_a_stream_that_falls_silent_is_tried_again_and_then_reported() -> None:
    silent = Stream(HALF, "hang")
    with (
        ChatServer(silent, Stream(WHOLE)) as server,
        adapter_to(server, timeout=1.5) as model,
    ):
        assert model.complete(HELLO).text == "streamed"
    with (
        ChatServer(silent) as server,
        adapter_to(server, timeout=0.5) as model,
        pytest.raises(ModelTimeout, match="said nothing"),
    ):
        model.complete(HELLO)


def test_a_slow_stream_is_waited_for() -> None:
    slow = Stream((*HALF, PING, *WHOLE[2:]), pause=0.05)
    with ChatServer(slow) as server, adapter_to(server, timeout=5.0) as model:
        assert model.complete(HELLO).text == "streamed"


def test_signs_of_life_do_not_outlast_the_deadline() -> None:
    with (
        ChatServer(Stream((*HALF, PING), "repeat", pause=0.02)) as server,
        adapter_to(server, deadline=0.5) as model,
        pytest.raises(ModelTimeout, match=r"within 0\.5 seconds in all"),
    ):
        model.complete(HELLO)


@pytest.mark.parametrize("piece", [PING, chunks("x" * 5000)[1], b"data: " + b"x" * 5000])
def test_a_stream_without_end_is_cut_at_the_cap(piece: bytes) -> None:
    with ChatServer(Stream((*HALF, piece), "repeat")) as server:
        with (
            adapter_to(server, max_reply_bytes=50_000) as model,
            pytest.raises(BadReply, match="larger than 50000 bytes"),
        ):
            model.complete(HELLO)
        assert server.client_gone.wait(60)


def test_an_error_in_the_stream_is_tried_again_and_then_reported_without_the_key() -> None:
    error = {"error": {"message": f"out of memory, {KEY}", "type": "server_error", "code": None}}
    broken = Stream((*HALF, *events(error)))
    with ChatServer(broken, Stream(WHOLE)) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "streamed"
    with (
        ChatServer(broken) as server,
        adapter_to(server) as model,
        pytest.raises(Exception, match=r"out of memory, \[key\]") as caught,
    ):
        model.complete(HELLO)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("data", ["<html>", "[1]", "{broken", "[" * 50_000])
def test_events_of_another_shape_are_a_bad_reply(data: str) -> None:
    with (
        ChatServer(Stream(events(data))) as server,
        adapter_to(server) as model,
        pytest.raises(BadReply, match="is not a chat reply"),
    ):
        model.complete(HELLO)
    with ChatServer(chat("hi")) as server, adapter_to(server) as model:
        assert model.complete(HELLO).text == "hi"


def test_cancelling_in_the_middle_of_a_stream_closes_its_connection() -> None:
    with ChatServer(Stream(HALF, "hang")) as server, adapter_to(server) as model:
        future = model.submit(HELLO)
        while not server.requests:
            threading.Event().wait(0.01)
        assert future.cancel()
        assert server.client_gone.wait(60)
