from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from rlm_core.serve.connection import ClientGone
from rlm_core.serve.exchange import Exchange
from rlm_core.serve.keys import Keys
from rlm_core.serve.problem import Busy
from rlm_core.serve.profile import Profile, Profiles
from rlm_core.serve.service import Service
from rlm_core.serve.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Sent:
    """An exchange with nobody, and what was sent to them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        profiles = Profiles({"fast": Profile(model="offline")})
        self.service = Service(Settings(turns=1), profiles, Keys({}))
        self.exchange = Exchange(self.service, {}, {}, self._receive, self._send)

    async def _receive(self) -> Any:
        raise AssertionError("nothing is to be received")

    async def _send(self, event: Any) -> None:
        self.events.append(event)

    def serve(self, answer: Callable[[Exchange], Awaitable[None]]) -> None:
        asyncio.run(self._serve(answer))

    async def _serve(self, answer: Callable[[Exchange], Awaitable[None]]) -> None:
        try:
            await self.exchange.serve(answer)
        finally:
            await self.service.close()

    @property
    def status(self) -> int:
        return self.events[0]["status"]

    @property
    def body(self) -> str:
        return b"".join(each.get("body", b"") for each in self.events).decode()


def raising(error: BaseException) -> Callable[[Exchange], Awaitable[None]]:
    async def answer(_: Exchange) -> None:
        raise error

    return answer


def test_what_nobody_expected_is_told_without_its_words_and_logged_with_its_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = Sent()
    with caplog.at_level(logging.INFO):
        sent.serve(raising(LookupError("/root/secret")))
    assert sent.status == 500
    assert "secret" not in sent.body
    assert json.loads(sent.body)["error"]["code"] == "internal_error"
    assert f"request {sent.exchange.request_id}: LookupError('/root/secret')" in caplog.text


def test_what_a_client_sent_makes_no_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Sent().serve(raising(Busy("no\nERROR root: forged")))
    assert len(caplog.text.splitlines()) == 1


def test_a_problem_after_the_head_is_an_event_and_ends_the_stream() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.response.begin(200, "text/event-stream")
        raise Busy("later")

    sent = Sent()
    sent.serve(answer)
    assert sent.status == 200
    event, done, rest = sent.body.split("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["message"] == "later"
    assert (done, rest) == ("data: [DONE]", "")
    assert sent.events[-1]["more_body"] is False


def test_a_client_that_is_gone_is_counted_and_told_nothing() -> None:
    sent = Sent()
    sent.serve(raising(ClientGone()))
    assert sent.events == []
    lines = sent.service.metrics.text().splitlines()
    assert "rlm_clients_gone_total 1" in lines
    assert 'rlm_requests_total{model="",way="none",status="gone"} 1' in lines


def test_a_server_that_ends_says_so() -> None:
    sent = Sent()
    with pytest.raises(asyncio.CancelledError):
        sent.serve(raising(asyncio.CancelledError()))
    assert sent.status == 503


def test_problems_are_counted_by_their_code() -> None:
    sent = Sent()
    sent.serve(raising(Busy("later", code="server_busy")))
    assert 'rlm_problems_total{code="server_busy"} 1' in sent.service.metrics.text().splitlines()
