"""What a failed exchange means to the caller: httpx's errors and HTTP statuses as `ModelError`s."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rlm_core.adapters.chat_format import error_message
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
from rlm_core.adapters.retry import StatusFailure, parse_retry_after

if TYPE_CHECKING:
    import httpx

    from rlm_core.adapters.endpoint import Endpoint

USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


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


def status_failure(
    endpoint: Endpoint, response: httpx.Response, content: bytes
) -> tuple[StatusFailure, ModelError]:
    """What a reply with an error status means: to the retry policy, and to the caller."""
    status = response.status_code
    message, code = _said(content)
    said = f" ({endpoint.hide(message)})" if message else ""
    if response.has_redirect_location:
        said = f" (it points to {endpoint.hide(response.headers['location'])})"
    after = parse_retry_after(response.headers.get("retry-after"), now=datetime.now(UTC))
    failure = StatusFailure(status, after, final=code in USED_UP)
    return failure, _status_error(endpoint, status, said, failure)


def _said(content: bytes) -> tuple[str, str]:
    try:
        return error_message(json.loads(content))
    except (ValueError, RecursionError):
        text = content[: 4 * MAX_SHOWN].decode("utf-8", "replace")
        return ("" if "<" in text else text), ""  # a page of HTML explains nothing on one line


def _status_error(endpoint: Endpoint, status: int, said: str, failure: StatusFailure) -> ModelError:
    where = f"HTTP {status} from {endpoint.shown}{said}"
    if status in {401, 403}:
        kind = "the key is not accepted" if endpoint.secrets else "a key is needed"
        return KeyRefused(f"{kind}: {where}; set LLM_API_KEY or OPENAI_API_KEY", status=status)
    if status == 429 and failure.final:
        return RateLimited(f"the quota is used up: {where}", status=status)
    if status == 429:
        asked = "" if failure.retry_after is None else f" {failure.retry_after:g} seconds"
        return RateLimited(f"too many requests: {where}; wait{asked} and try again", status=status)
    if status >= 500:
        return ServerFailed(f"the server failed: {where}; try again later", status=status)
    if status in {404, 405} or status < 400:
        return RequestRefused(
            f"no model answers here: {where}; check the base URL (it usually ends in /v1) and the "
            f"model's name",
            status=status,
        )
    return RequestRefused(f"the request was refused: {where}", status=status)
