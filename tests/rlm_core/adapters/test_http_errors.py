"""Each failed exchange becomes one error of the right kind."""

from __future__ import annotations

import httpx
import pytest

from rlm_core.adapters import errors
from rlm_core.adapters.endpoint import Endpoint
from rlm_core.adapters.http_errors import connection_error, status_failure, timeout_error

KEY = "sk-test-0123456789abcdef"
ENDPOINT = Endpoint(url=f"https://host/v1/chat?key={KEY}", headers={}, secrets=(KEY,))


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
    _, error = status_failure(ENDPOINT, httpx.Response(status), content)
    assert type(error) is kind
    assert error.status == status
    assert f"HTTP {status} from https://host/v1/chat (words of [key])" in str(error)


def test_the_servers_wish_to_wait_is_read() -> None:
    response = httpx.Response(429, headers={"Retry-After": "7"})
    failure, error = status_failure(ENDPOINT, response, b"")
    assert failure.retry_after == 7.0
    assert "wait 7 seconds" in str(error)


@pytest.mark.parametrize(("code", "final"), [("insufficient_quota", True), ("slow_down", False)])
def test_a_used_up_quota_is_final(code: str, final: bool) -> None:
    content = f'{{"error": {{"message": "no", "code": "{code}"}}}}'.encode()
    failure, _ = status_failure(ENDPOINT, httpx.Response(429), content)
    assert failure.final is final


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<html>", b"[" * 100_000, b"[1]"])
def test_any_body_of_an_error_gives_one_short_line(content: bytes) -> None:
    _, error = status_failure(ENDPOINT, httpx.Response(500), content)
    assert "\n" not in str(error)
    assert len(str(error)) < 500


def test_without_a_key_a_key_is_asked_for() -> None:
    endpoint = Endpoint(url="https://host/v1", headers={})
    assert "a key is needed" in str(status_failure(endpoint, httpx.Response(401), b"")[1])


def test_connecting_in_vain_is_unreachable_and_silence_a_timeout() -> None:
    assert isinstance(timeout_error(ENDPOINT, httpx.ConnectTimeout("")), errors.Unreachable)
    assert isinstance(timeout_error(ENDPOINT, httpx.ReadTimeout("")), errors.ModelTimeout)
    refused = connection_error(ENDPOINT, httpx.ConnectError(f"refused {KEY}"))
    assert isinstance(refused, errors.Unreachable)
    assert KEY not in str(refused)
    assert "broke" in str(connection_error(ENDPOINT, httpx.RemoteProtocolError("eof")))
