"""Any server that takes chat messages as JSON: the payload and the reply's shape are yours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_core.adapters.chat_format import (
    ChatFormat,
    PayloadBuilder,
    ResponseParser,
    default_payload_builder,
    default_response_parser,
)
from rlm_core.adapters.endpoint import MAX_REPLY_BYTES, Endpoint
from rlm_core.adapters.retry import RetryPolicy
from rlm_core.adapters.served import ServedAdapter, json_headers

if TYPE_CHECKING:
    from collections.abc import Mapping


class GenericChatAdapter(ServedAdapter):
    """A model behind an HTTP endpoint that speaks chat, by default as OpenAI-compatible servers do.

    >>> with GenericChatAdapter(base_url="http://localhost:11434/v1", model="llama3") as model:
    ...     model.complete([{"role": "user", "content": "Hello"}]).text

    Calls are tried again after HTTP 429, 500, 502, 503 and 504, timeouts and broken connections,
    with full-jitter backoff that honours `Retry-After`. All times are seconds: `timeout` is the
    longest silence of the server, `deadline` the longest time for one call with all its retries.
    Raises ModelError (see `rlm_core.adapters.errors`). Thread-safe; one connection pool.

    `stream` asks for the reply in pieces (one that comes so unasked is understood as well);
    `options` are further fields of every request, such as `{"reasoning_effort": "low"}`. What a
    server refuses to be told (a temperature, `max_tokens` by that name) is not told it again.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        base_url: str | None = None,
        path: str = "/chat/completions",
        model: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        payload_builder: PayloadBuilder | None = None,
        response_parser: ResponseParser | None = None,
        timeout: float = 60.0,
        max_retries: int = 3,
        retry_base_delay: float = 1.0,
        retry_max_delay: float = 30.0,
        deadline: float = 600.0,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        stream: bool = False,
        options: Mapping[str, object] | None = None,
    ) -> None:
        wire = ChatFormat(
            payload_builder or default_payload_builder, response_parser or default_response_parser
        )
        retry = RetryPolicy(
            retries=max_retries,
            base_delay=retry_base_delay,
            max_delay=retry_max_delay,
            deadline=deadline,
        )
        own = {"Authorization": f"Bearer {api_key}"} if bool(api_key) else {}
        where = Endpoint(
            url=endpoint or _join(base_url, path),
            headers=json_headers(own | dict(headers or {})),
            timeout=timeout,
            retry=retry,
            max_reply_bytes=max_reply_bytes,
            secrets=_secrets(api_key, headers or {}),
        )
        super().__init__(where, wire, model=model, stream=stream, options=options)


def _join(base_url: str | None, path: str) -> str:
    if not bool(base_url):
        raise ValueError("give base_url (for example http://localhost:11434/v1) or endpoint")
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}"


def _secrets(api_key: str | None, extra: Mapping[str, str]) -> tuple[str, ...]:
    """The key and every header the caller added: nobody knows which of those is one."""
    return tuple(value for value in (api_key, *extra.values()) if bool(value))
