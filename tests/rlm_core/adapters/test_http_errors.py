"""Each failed exchange becomes one error of the right kind."""

from __future__ import annotations

import httpx
import pytest

from rlm_core.adapters import errors
from rlm_core.adapters.endpoint import Endpoint
from rlm_core.adapters.http_errors import (
    connection_error,
    refusal_in,
    reported_failure,
    status_failure,
    timeout_error,
)
from rlm_core.adapters.reported import Reported
from rlm_core.adapters.retry import StatusFailure

KEY = "sk-test-0123456789abcdef"
ENDPOINT = Endpoint(url=f"https://host/v1/chat?key={KEY}", headers={}, secrets=(KEY,))


def failed(
    status: int, content: bytes = b"", endpoint: Endpoint = ENDPOINT, **headers: str
) -> tuple[StatusFailure, errors.ModelError]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=named)
    return status_failure(endpoint, response, refusal_in(response, content))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.RequestRefused),
        (400, errors.RequestRefused),
        (401, errors.KeyRefused),
        (403, errors.KeyRefused),
        (404, errors.RequestRefused),
        (405, errors.RequestRefused),
        (413, errors.RequestRefused),
        (429, errors.RateLimited),
        (500, errors.ServerFailed),
        (503, errors.ServerFailed),
        (529, errors.ServerFailed),
    ],
)
def test_a_status_tells_whose_fault_it_is(status: int, kind: type[errors.ModelError]) -> None:
    content = f'{{"error": {{"message": "words of {KEY}"}}}}'.encode()
    _, error = failed(status, content)
    assert type(error) is kind
    assert error.status == status
    assert f"HTTP {status} from https://host/v1/chat (words of [key])" in str(error)


def test_the_servers_wish_to_wait_is_read() -> None:
    failure, error = failed(429, Retry_After="7")
    assert failure.retry_after == 7.0
    assert "wait 7 seconds" in str(error)


@pytest.mark.parametrize(("code", "final"), [("insufficient_quota", True), ("slow_down", False)])
def test_a_used_up_quota_is_final(code: str, final: bool) -> None:
    content = f'{{"error": {{"message": "no", "code": "{code}"}}}}'.encode()
    failure, _ = failed(429, content)
    assert failure.final is final


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<html>", b"[" * 100_000, b"[1]"])
def test_any_body_of_an_error_gives_one_short_line(content: bytes) -> None:
    _, error = failed(500, content)
    assert "\n" not in str(error)
    assert len(str(error)) < 500


def test_without_a_key_a_key_is_asked_for() -> None:
    endpoint = Endpoint(url="https://host/v1", headers={})
    assert "a key is needed" in str(failed(401, endpoint=endpoint)[1])


def test_an_endpoint_says_where_its_own_key_belongs_and_what_to_check() -> None:
    endpoint = Endpoint(
        url="https://host/v1", headers={}, key_names="MY_KEY", address_hint="check the weather"
    )
    assert "set MY_KEY" in str(failed(401, endpoint=endpoint)[1])
    assert "check the weather" in str(failed(404, endpoint=endpoint)[1])


def test_a_wait_in_milliseconds_is_read_too_and_nonsense_is_not() -> None:
    assert failed(429, Retry_After_Ms="1500", Retry_After="2")[0].retry_after == 1.5
    assert failed(429, Retry_After_Ms="soon", Retry_After="2")[0].retry_after == 2.0


@pytest.mark.parametrize(
    ("reported", "kind", "status"),
    [
        (Reported("busy"), errors.ServerFailed, 500),
        (Reported("busy", status=529), errors.ServerFailed, 529),
        (Reported("slow down", status=429), errors.RateLimited, 429),
        (Reported("no", status=401), errors.KeyRefused, 401),
        (Reported("no", status=400), errors.RequestRefused, 400),
    ],
)
def test_an_error_inside_a_reply_is_the_error_that_it_says(
    reported: Reported, kind: type[errors.ModelError], status: int
) -> None:
    failure, error = reported_failure(ENDPOINT, reported)
    assert failure.status == status
    assert type(error) is kind
    assert reported.message in str(error)


def test_connecting_in_vain_is_unreachable_and_silence_a_timeout() -> None:
    assert isinstance(timeout_error(ENDPOINT, httpx.ConnectTimeout("")), errors.Unreachable)
    assert isinstance(timeout_error(ENDPOINT, httpx.ReadTimeout("")), errors.ModelTimeout)
    refused = connection_error(ENDPOINT, httpx.ConnectError(f"refused {KEY}"))
    assert isinstance(refused, errors.Unreachable)
    assert KEY not in str(refused)
    assert "broke" in str(connection_error(ENDPOINT, httpx.RemoteProtocolError("eof")))
