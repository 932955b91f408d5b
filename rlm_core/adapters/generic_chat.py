"""Any server that takes chat messages as JSON: the payload and the reply's shape are yours."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, estimate_usage
from rlm_core.adapters.chat_format import (
    ChatFormat,
    PayloadBuilder,
    ResponseParser,
    default_payload_builder,
    default_response_parser,
    reply_meta,
)
from rlm_core.adapters.endpoint import MAX_REPLY_BYTES, Endpoint
from rlm_core.adapters.errors import AdapterClosed
from rlm_core.adapters.retry import RetryPolicy
from rlm_core.adapters.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self


class GenericChatAdapter:
    """A model behind an HTTP endpoint that speaks chat, by default as OpenAI-compatible servers do.

    >>> with GenericChatAdapter(base_url="http://localhost:11434/v1", model="llama3") as model:
    ...     model.complete([{"role": "user", "content": "Hello"}]).text

    Calls are tried again after HTTP 429, 500, 502, 503 and 504, timeouts and broken connections,
    with full-jitter backoff that honours `Retry-After`. All times are seconds: `timeout` is the
    longest silence of the server, `deadline` the longest time for one call with all its retries.
    Raises ModelError (see `rlm_core.adapters.errors`). Thread-safe; one connection pool.
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
    ) -> None:
        self.model = model
        self.format = ChatFormat(
            payload_builder or default_payload_builder, response_parser or default_response_parser
        )
        retry = RetryPolicy(
            retries=max_retries,
            base_delay=retry_base_delay,
            max_delay=retry_max_delay,
            deadline=deadline,
        )
        self._transport = HttpTransport(
            Endpoint(
                url=endpoint or _join(base_url, path),
                headers=_headers(api_key, headers or {}),
                timeout=timeout,
                retry=retry,
                max_reply_bytes=max_reply_bytes,
                secrets=_secrets(api_key, headers or {}),
            )
        )

    @property
    def identity(self) -> str:
        """Class, address and model: what cached replies are kept apart by. Never a key."""
        return f"{type(self).__name__}:{self._transport.endpoint.shown}:{self.model or ''}"

    def __repr__(self) -> str:
        return f"<{self.identity}>"

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,
        temperature: float | None = 0.0,
    ) -> ModelResponse:
        """The model's reply. Raises ModelError when there is none."""
        reply = self.submit(messages, max_tokens=max_tokens, temperature=temperature)
        try:
            return reply.result()
        except CancelledError:
            raise AdapterClosed("the adapter was closed while the model was answering") from None
        except BaseException:  # Ctrl-C: do not leave the call running (and being paid for)
            reply.cancel()
            raise

    def submit(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,
        temperature: float | None = 0.0,
    ) -> Future[ModelResponse]:
        """Start a call and return at once; cancelling the future ends it and its connection."""
        payload = self.format.build(messages, max_tokens, temperature, self.model)
        return self._transport.submit(payload, _Reader(self, messages))

    def close(self) -> None:
        """Cancel calls in flight and close the connections. Idempotent."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Reader:
    """Makes a ModelResponse of the server's JSON."""

    def __init__(self, adapter: GenericChatAdapter, messages: list[dict[str, str]]) -> None:
        self._parse = adapter.format.parse
        self._model = adapter.model
        self._messages = messages

    def __call__(self, data: object) -> ModelResponse:
        if not isinstance(data, dict):
            raise TypeError(f"a JSON object was expected, not {type(data).__name__}")
        text, usage = self._parse(data)
        model = data.get("model")
        return ModelResponse(
            text,
            usage or estimate_usage(self._messages, text),
            model_id=model if isinstance(model, str) and model else self._model,
            meta=reply_meta(data),
        )


def _join(base_url: str | None, path: str) -> str:
    if not bool(base_url):
        raise ValueError("give base_url (for example http://localhost:11434/v1) or endpoint")
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}"


def _headers(api_key: str | None, extra: Mapping[str, str]) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers["Accept-Encoding"] = "identity"  # replies are small; nothing unpacks to gigabytes
    if bool(api_key):
        headers["Authorization"] = f"Bearer {api_key}"
    return headers | dict(extra)


def _secrets(api_key: str | None, extra: Mapping[str, str]) -> tuple[str, ...]:
    """The key and every header the caller added: nobody knows which of those is one."""
    return tuple(value for value in (api_key, *extra.values()) if bool(value))
