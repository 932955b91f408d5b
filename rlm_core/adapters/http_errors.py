"""What a failed exchange means to the caller: httpx's errors and HTTP statuses as `ModelError`s."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rlm_core.adapters.endpoint import MAX_SHOWN
from rlm_core.adapters.errors import (
    KeyRefused,
    ModelError,
    ModelTimeout,
    RateLimited,
    RequestRefused,
    ServerFailed,
    Unreachable,
)
from rlm_core.adapters.reported import Reported, reported_in
from rlm_core.adapters.retry import OVERLOADED, StatusFailure, parse_retry_after

if TYPE_CHECKING:
    import httpx

    from rlm_core.adapters.endpoint import Endpoint

USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
SERVER_FAULT = 500  # what an error inside a reply is taken for that has no status of its own


def timeout_error(endpoint: Endpoint, error: httpx.TimeoutException) -> ModelError:
    """The server was too slow: to connect, or to say anything."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable(
            f"cannot connect to {endpoint.shown}: no answer; check the address and the network"
        )
    return ModelTimeout(
        f"{endpoint.shown} said nothing for {endpoint.timeout:g} seconds: allow more time "
        f"(timeout), or use a faster model"
    )


def connection_error(endpoint: Endpoint, error: httpx.TransportError) -> ModelError:
    """There was no connection, or it broke."""
    import httpx

    reason = endpoint.hide(str(error)) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return Unreachable(
            f"cannot connect to {endpoint.shown} ({reason}): is the server running, and is the "
            f"address right?"
        )
    return Unreachable(
        f"the connection to {endpoint.shown} broke before the reply was complete ({reason}): "
        f"try again"
    )


def broken_stream_error(endpoint: Endpoint) -> ModelError:
    """A streamed reply was cut off."""
    return Unreachable(
        f"the stream of {endpoint.shown} ended before the reply was complete: try again"
    )


def refusal_in(response: httpx.Response, content: bytes) -> Reported:
    """What a reply with an error status says."""
    try:
        return reported_in(json.loads(content), response.status_code)
    except (ValueError, RecursionError):
        text = content[: 4 * MAX_SHOWN].decode("utf-8", "replace")
        # a page of HTML explains nothing on one line
        return Reported("" if "<" in text else text, status=response.status_code)


def status_failure(
    endpoint: Endpoint, response: httpx.Response, reported: Reported
) -> tuple[StatusFailure, ModelError]:
    """What a reply with an error status means: to the retry policy, and to the caller."""
    said = f" ({endpoint.hide(reported.message)})" if reported.message else ""
    if response.has_redirect_location:
        said = f" (it points to {endpoint.hide(response.headers['location'])})"
    failure = StatusFailure(
        response.status_code, _wish_to_wait(response), final=reported.code in USED_UP
    )
    where = f"HTTP {response.status_code} from {endpoint.shown}{said}"
    return failure, _status_error(endpoint, failure, where)


def reported_failure(endpoint: Endpoint, reported: Reported) -> tuple[StatusFailure, ModelError]:
    """The same for an error that came inside a reply, below an HTTP status of success."""
    status = SERVER_FAULT if reported.status is None else reported.status
    failure = StatusFailure(status, final=reported.code in USED_UP)
    said = endpoint.hide(reported.message or reported.code) or "no reason given"
    where = f"an error (as HTTP {status}) instead of a reply from {endpoint.shown} ({said})"
    return failure, _status_error(endpoint, failure, where)


def _wish_to_wait(response: httpx.Response) -> float | None:
    milliseconds = response.headers.get("retry-after-ms", "")  # Azure and OpenAI are as exact
    if milliseconds.isascii() and milliseconds.isdigit():
        return float(milliseconds) / 1000
    return parse_retry_after(response.headers.get("retry-after"), now=datetime.now(UTC))


def _status_error(endpoint: Endpoint, failure: StatusFailure, where: str) -> ModelError:
    status = failure.status
    if status in {401, 403}:
        kind = "the key is not accepted" if endpoint.secrets else "a key is needed"
        return KeyRefused(f"{kind}: {where}; set {endpoint.key_names}", status=status)
    if status == 429 and failure.final:
        return RateLimited(f"the quota is used up: {where}", status=status)
    if status == 429:
        asked = "" if failure.retry_after is None else f" {failure.retry_after:g} seconds"
        return RateLimited(f"too many requests: {where}; wait{asked} and try again", status=status)
    if status == OVERLOADED:
        return ServerFailed(f"the server is overloaded: {where}; try again later", status=status)
    if status >= 500:
        return ServerFailed(f"the server failed: {where}; try again later", status=status)
    if status in {404, 405} or status < 400:
        return RequestRefused(
            f"no model answers here: {where}; {endpoint.address_hint}", status=status
        )
    return RequestRefused(f"the request was refused: {where}", status=status)
