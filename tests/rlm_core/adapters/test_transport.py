"""A real server misbehaves in every way, and the caller gets a reply or one clear error."""

from __future__ import annotations

import gc
import json
import logging
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rlm_core.adapters.chat_stream import ChatAssembler
from rlm_core.adapters.endpoint import Endpoint
from rlm_core.adapters.errors import (
    AdapterClosed,
    BadReply,
    KeyRefused,
    ModelError,
    ModelTimeout,
    RateLimited,
    RequestRefused,
    ServerFailed,
    Unreachable,
)
from rlm_core.adapters.reported import Reported, ReportedError, reported_in
from rlm_core.adapters.retry import RetryPolicy
from rlm_core.adapters.transport import HttpTransport
from tests.rlm_core.adapters.chat_server import (
    Behaviour,
    ChatServer,
    Drop,
    Flood,
    Hang,
    Reply,
    json_reply,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from rlm_core.adapters.wire import Assembler

KEY = "sk-test-0123456789abcdef"
QUICK = RetryPolicy(retries=3, base_delay=0.001, max_delay=0.002, deadline=30.0)
OK = json_reply({"answer": 42})


@contextmanager
def transport_to(
    url: str, *, timeout: float = 20.0, retry: RetryPolicy = QUICK, max_reply_bytes: int = 10_000
) -> Generator[HttpTransport, None, None]:
    endpoint = Endpoint(
        url=url,
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=timeout,
        retry=retry,
        max_reply_bytes=max_reply_bytes,
        secrets=(KEY,),
    )
    transport = HttpTransport(endpoint)
    try:
        yield transport
    finally:
        transport.close()


class Question:
    """An exchange of the simplest kind: one question, no stream, no second thoughts."""

    def body(self) -> bytes:
        return json.dumps({"question": "\ud800?"}).encode("ascii")

    def adapt(self, refusal: Reported) -> bool:
        return False

    def assembler(self) -> Assembler:
        return ChatAssembler()

    def read(self, data: object) -> object:
        assert isinstance(data, dict)
        if "error" in data:
            raise ReportedError(reported_in(data))
        return data["answer"]


class Haggling(Question):
    """Asks for less each time it is refused."""

    def __init__(self, price: int, least: int) -> None:
        self.price = price
        self.least = least

    def body(self) -> bytes:
        return json.dumps({"price": self.price}).encode()

    def adapt(self, refusal: Reported) -> bool:
        assert refusal.message == "too dear"
        self.price -= 1
        return self.price >= self.least


def post(transport: HttpTransport) -> object:
    return transport.submit(Question()).result(timeout=30)


def failure(*behaviours: Behaviour, **options: float | RetryPolicy) -> ModelError:
    with (
        ChatServer(*behaviours) as server,
        transport_to(f"{server.base_url}/x?q={KEY}", **options) as transport,  # ty: ignore[invalid-argument-type]
        pytest.raises(ModelError) as caught,
    ):
        post(transport)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_reply_is_read() -> None:
    with ChatServer(OK) as server, transport_to(server.base_url) as transport:
        assert post(transport) == 42
        assert server.requests[0].payload == {"question": "\ud800?"}
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_connections_are_reused() -> None:
    opened: set[int] = set()

    class Counting(ChatServer):
        def process_request(self, request: object, client_address: tuple[str, int]) -> None:
            opened.add(client_address[1])
            super().process_request(request, client_address)  # ty: ignore[invalid-argument-type]

    with Counting(OK) as server, transport_to(server.base_url) as transport:
        assert [post(transport) for _ in range(5)] == [42] * 5
        assert len(server.requests) == 5
    assert len(opened) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(b"busy", 429),
        Reply(b"", 500),
        Reply(b"", 502),
        Reply(b"", 503),
        Reply(b"", 504),
        Reply(b"", 529),
        json_reply({"error": {"type": "overloaded_error", "message": "busy"}}),
        Drop(),
        Drop(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        Drop(b"garbage\r\n\r\n"),
    ],
)
def test_a_passing_fault_is_tried_again(trouble: Behaviour) -> None:
    with ChatServer(trouble, trouble, OK) as server, transport_to(server.base_url) as transport:
        assert post(transport) == 42
        assert len(server.requests) == 3


def test_silence_is_tried_again() -> None:
    with (
        ChatServer(Hang(), OK) as server,
        transport_to(server.base_url, timeout=0.3) as transport,
    ):
        assert post(transport) == 42


def test_retry_after_is_waited_for_before_the_next_attempt() -> None:
    limited = Reply(b"", 429, {"Retry-After": "3600"})
    with ChatServer(limited, OK) as server, transport_to(server.base_url) as transport:
        with pytest.raises(RateLimited, match="wait 3600 seconds"):
            post(transport)  # the deadline is 30 s: no use waiting, and no second attempt
        assert len(server.requests) == 1


def test_a_rate_limit_that_stays_is_reported() -> None:
    error = failure(Reply(b"", 429))
    assert isinstance(error, RateLimited)
    assert error.status == 429


def test_a_used_up_quota_is_not_tried_again() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with ChatServer(json_reply(body, 429)) as server, transport_to(server.base_url) as transport:
        with pytest.raises(RateLimited, match=r"quota is used up: .*You exceeded your quota"):
            post(transport)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_says_where_keys_come_from_and_is_tried_once(status: int) -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    with ChatServer(json_reply(body, status)) as server, transport_to(server.base_url) as transport:
        with pytest.raises(KeyRefused, match="LLM_API_KEY") as caught:
            post(transport)
        assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_a_wrong_path_says_to_check_the_base_url() -> None:
    error = failure(Reply(b"<html>not found</html>", 404))
    assert isinstance(error, RequestRefused)
    assert "base URL" in str(error)
    assert "html" not in str(error)


def test_a_refused_request_says_what_the_server_said() -> None:
    error = failure(json_reply({"error": {"message": "max_tokens is too large"}}, 400))
    assert isinstance(error, RequestRefused)
    assert "max_tokens is too large" in str(error)


def test_a_redirect_is_not_followed_because_it_would_carry_the_key() -> None:
    with ChatServer(OK) as elsewhere:
        moved = Reply(b"", 307, {"Location": f"{elsewhere.base_url}/new"})
        error = failure(moved)
        assert isinstance(error, RequestRefused)
        assert f"points to {elsewhere.base_url}/new" in str(error)
        assert elsewhere.requests == []


def test_a_server_that_keeps_failing_is_reported() -> None:
    error = failure(Reply(b"out of memory", 500))
    assert isinstance(error, ServerFailed)
    assert "out of memory" in str(error)


def test_a_server_that_keeps_dropping_is_reported() -> None:
    error = failure(Drop())
    assert isinstance(error, Unreachable)
    assert "broke" in str(error)


def test_a_silent_server_is_reported_after_the_retries() -> None:
    error = failure(Hang(), timeout=0.1, retry=RetryPolicy(retries=1, base_delay=0.001))
    assert isinstance(error, ModelTimeout)
    assert "said nothing for 0.1 seconds" in str(error)


def test_a_trickle_of_bytes_does_not_outlast_the_deadline() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"
    error = failure(Hang(half), timeout=20.0, retry=RetryPolicy(deadline=0.3))
    assert isinstance(error, ModelTimeout)
    assert "within 0.3 seconds in all" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b'{"a": ', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_reply_that_is_not_json_says_so(body: bytes) -> None:
    error = failure(Reply(body), max_reply_bytes=200_000)
    assert isinstance(error, BadReply)
    assert "not JSON" in str(error)


@pytest.mark.parametrize("data", [{}, {"other": 1}])
def test_json_of_another_shape_says_so(data: object) -> None:
    error = failure(json_reply(data))
    assert isinstance(error, BadReply)
    assert "not a chat reply" in str(error)


def test_a_reply_without_end_is_cut_at_the_cap() -> None:
    with ChatServer(Flood()) as server:
        with (
            transport_to(server.base_url) as transport,
            pytest.raises(BadReply, match="larger than 10000 bytes"),
        ):
            post(transport)
        assert server.client_gone.wait(60)


def test_a_lie_about_the_encoding_is_a_bad_reply() -> None:
    error = failure(Reply(b"this is not gzip", 200, {"Content-Encoding": "gzip"}))
    assert isinstance(error, BadReply)


def test_a_refused_request_is_changed_and_sent_again_at_once() -> None:
    refusal = json_reply({"error": {"message": "too dear"}}, 400)
    patient = RetryPolicy(retries=1, base_delay=3600.0)
    with (
        ChatServer(refusal, refusal, OK) as server,
        transport_to(server.base_url, retry=patient) as transport,
    ):
        assert transport.submit(Haggling(9, least=0)).result(timeout=30) == 42
        assert [request.payload["price"] for request in server.requests] == [9, 8, 7]


def test_a_request_that_cannot_be_changed_further_is_reported() -> None:
    refusal = json_reply({"error": {"message": "too dear"}}, 400)
    with ChatServer(refusal) as server, transport_to(server.base_url) as transport:
        with pytest.raises(RequestRefused, match="too dear"):
            transport.submit(Haggling(9, least=8)).result(timeout=30)
        assert len(server.requests) == 2


def test_an_error_that_stays_in_the_place_of_replies_is_reported_as_what_it_says() -> None:
    error = failure(json_reply({"error": {"message": f"no such thing as {KEY}", "code": 400}}))
    assert isinstance(error, RequestRefused)
    assert "as HTTP 400" in str(error)
    assert "no such thing as [key]" in str(error)


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with transport_to(url) as transport, pytest.raises(Unreachable, match="is the server"):
            post(transport)


def test_a_broken_proxy_setting_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"nonsense://user:{KEY}@127.0.0.1:1")
    with (
        transport_to("http://127.0.0.1:1/v1") as transport,
        pytest.raises(Unreachable, match="ALL_PROXY") as caught,
    ):
        post(transport)
    assert KEY not in str(caught.value)


def test_cancelling_a_call_closes_its_connection() -> None:
    with ChatServer(Hang()) as server, transport_to(server.base_url) as transport:
        future = transport.submit(Question())
        while not server.requests:
            threading.Event().wait(0.01)
        assert future.cancel()
        assert server.client_gone.wait(60)


def test_closing_ends_calls_in_flight() -> None:
    with ChatServer(Hang()) as server, transport_to(server.base_url) as transport:
        future = transport.submit(Question())
        while not server.requests:
            threading.Event().wait(0.01)
        transport.close()
        assert future.cancelled()
        assert server.client_gone.wait(60)


def test_a_closed_transport_refuses_calls() -> None:
    with transport_to("http://127.0.0.1:1/v1") as transport:
        transport.close()
        with pytest.raises(AdapterClosed, match="make another"):
            post(transport)


def test_a_forgotten_transport_ends_its_thread() -> None:
    before = set(threading.enumerate())
    with ChatServer(OK) as server:
        serving = set(threading.enumerate())
        endpoint = Endpoint(url=server.base_url, headers={})
        transport = HttpTransport(endpoint)
        assert post(transport) == 42
        assert set(threading.enumerate()) - serving - {None}
        del transport
        gc.collect()
        assert not [t for t in threading.enumerate() if t.name == "rlm-connections"]
    assert set(threading.enumerate()) == before


def test_calls_from_many_threads_all_come_back() -> None:
    with ChatServer(Reply(b"", 503), OK) as server, transport_to(server.base_url) as transport:
        futures = [transport.submit(Question()) for _ in range(40)]
        assert [future.result(timeout=30) for future in futures] == [42] * 40


def test_no_key_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    body = {"error": {"message": f"busy, {KEY}"}}
    with (
        caplog.at_level(logging.DEBUG),
        ChatServer(json_reply(body, 503), OK) as server,
        transport_to(f"{server.base_url}/x?key={KEY}") as transport,
    ):
        assert post(transport) == 42
    assert "trying again" in caplog.text
    assert KEY not in caplog.text
