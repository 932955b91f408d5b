"""Anthropic's models through the Messages API."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rlm_core.adapters.anthropic_format import AnthropicFormat
from rlm_core.adapters.endpoint import MAX_REPLY_BYTES, Endpoint
from rlm_core.adapters.retry import RetryPolicy
from rlm_core.adapters.served import ServedAdapter, json_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

ANTHROPIC_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"  # of the API; what changed since comes by headers that a caller adds
KEY_NAME = "ANTHROPIC_API_KEY"


class AnthropicAdapter(ServedAdapter):
    """A model of Anthropic's.

    >>> with AnthropicAdapter(model="claude-sonnet-4-5") as model:
    ...     model.complete([{"role": "user", "content": "Hello"}]).text

    Without `api_key` and `base_url` the environment is asked: ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL
    (without /v1). `headers` are added to every request (`{"anthropic-beta": "..."}`), `options` are
    further fields of it, such as `{"thinking": {"type": "enabled", "budget_tokens": 2048}}`.
    Thoughts are never part of the text; `meta` says how many blocks of them there were. Times are
    seconds; retries (of HTTP 529, overloaded, too), errors, cancelling and threads are as for
    `GenericChatAdapter`.
    """

    def __init__(
        self,
        *,
        model: str,
        api_key: str | None = None,
        base_url: str | None = None,
        version: str = VERSION,
        headers: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
        stream: bool = False,
        timeout: float = 60.0,
        max_retries: int = 3,
        retry_base_delay: float = 1.0,
        retry_max_delay: float = 30.0,
        deadline: float = 600.0,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        key = (api_key or os.environ.get(KEY_NAME) or "").strip()
        base = base_url or os.environ.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL
        own = {"anthropic-version": version} | ({"x-api-key": key} if key else {})
        extra = dict(headers or {})
        endpoint = Endpoint(
            url=f"{base.strip().rstrip('/').removesuffix('/v1')}/v1/messages",
            headers=json_headers(own | extra),
            timeout=timeout,
            retry=RetryPolicy(
                retries=max_retries,
                base_delay=retry_base_delay,
                max_delay=retry_max_delay,
                deadline=deadline,
            ),
            max_reply_bytes=max_reply_bytes,
            secrets=tuple(secret for secret in (key, *extra.values()) if secret),
            key_names=KEY_NAME,
            address_hint="check the model's name, and ANTHROPIC_BASE_URL if it is set",
        )
        super().__init__(endpoint, AnthropicFormat(), model=model, stream=stream, options=options)
