from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from rlm_core.serve.connection import ClientGone, Response, read_body, while_connected
from rlm_core.serve.problem import BadRequest, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GONE = {"type": "http.disconnect"}


def body(*pieces: bytes) -> list[dict[str, Any]]:
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": number < last}
        for number, piece in enumerate(pieces)
    ]


def receiving(*events: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """These events, and then nothing."""
    left = list(events)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def read(*events: dict[str, Any], length: str = "0", seconds: float = 60.0) -> bytes:
    headers = {"content-length": length}
    reading = read_body(headers, receiving(*events), most_bytes=10, seconds=seconds)
    return asyncio.run(reading)


def test_a_body_comes_in_pieces() -> None:
    assert read(*body(b"abc", b"", b"def")) == b"abcdef"


@pytest.mark.parametrize("length", ["11", "9" * 30])
def test_a_body_that_is_announced_too_large_is_not_even_read(length: str) -> None:
    with pytest.raises(TooLarge, match="10 bytes"):
        read(length=length)


def test_a_body_that_grows_too_large_is_not_read_to_its_end() -> None:
    with pytest.raises(TooLarge):
        read(*body(b"12345678", b"12345678", b"more"))


@pytest.mark.parametrize("length", ["-1", "x", "\u0665"])
def test_a_length_that_is_none_is_a_bad_request(length: str) -> None:
    with pytest.raises(BadRequest):
        read(length=length)


def test_a_body_that_never_comes_is_given_up() -> None:
    with pytest.raises(TooSlow):
        read(*body(b"a", b"b")[:1], seconds=0.01)


def test_a_client_that_goes_before_its_request_is_complete_is_gone() -> None:
    with pytest.raises(ClientGone):
        read(*body(b"a", b"b")[:1], GONE)


def test_work_that_ends_is_its_result_and_its_error() -> None:
    async def works() -> int:
        return 5

    async def fails() -> int:
        raise LookupError

    assert asyncio.run(while_connected(receiving(), works())) == 5
    with pytest.raises(LookupError):
        asyncio.run(while_connected(receiving(), fails()))


def test_work_is_cancelled_when_the_client_goes_and_has_ended_then() -> None:
    ended: list[str] = []

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("tidied up")

    with pytest.raises(ClientGone):
        asyncio.run(while_connected(receiving(GONE), works()))
    assert ended == ["tidied up"]


def test_a_client_that_takes_no_bytes_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_core.serve.connection.SEND_SECONDS", 0.01)

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def scene() -> None:
        response = Response(send, "id")
        await response.begin(200, "text/plain")
        await response.piece(b"x")

    with pytest.raises(ClientGone):
        asyncio.run(scene())


def test_every_response_has_an_id_and_is_not_to_be_kept() -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(Response(send, "id-5").whole(200, b"x", "text/plain", {"retry-after": "1"}))
    headers = dict(sent[0]["headers"])
    assert headers[b"x-request-id"] == b"id-5"
    assert headers[b"cache-control"] == b"no-store"
    assert (headers[b"content-length"], headers[b"retry-after"]) == (b"1", b"1")
