"""What all models behind an HTTP endpoint share: calling, adapting, cancelling, closing."""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, estimate_usage
from rlm_core.adapters.errors import AdapterClosed
from rlm_core.adapters.quirks import Quirks, quirk_in, streams, without_quirks
from rlm_core.adapters.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from rlm_core.adapters.endpoint import Endpoint
    from rlm_core.adapters.reported import Reported
    from rlm_core.adapters.wire import Assembler, WireFormat

logger = logging.getLogger(__name__)


class ServedAdapter:
    """A model at `endpoint` that speaks `wire`. Thread-safe; one connection pool.

    `options` are further fields of every request. With `stream` the reply is asked for in pieces,
    which keeps a slow model from looking silent; either way the reply comes back whole. What a
    server refuses (a temperature, `max_tokens` by that name, an unstreamed reply) is left out or
    said otherwise at once and from then on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wire: WireFormat,
        *,
        model: str | None,
        stream: bool = False,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.model = model
        self._wire = wire
        self._stream = stream
        self._options = dict(options or {})
        self._quirks = Quirks()
        self._transport = HttpTransport(endpoint)

    @property
    def identity(self) -> str:
        """Class, address, model, options: what cached replies are kept apart by. Never a key."""
        identity = f"{type(self).__name__}:{self._transport.endpoint.shown}:{self.model or ''}"
        if not self._options:
            return identity
        options = json.dumps(self._options, sort_keys=True).encode("ascii")
        return f"{identity}:{hashlib.sha256(options).hexdigest()[:16]}"

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
        asked = self._wire.payload(messages, max_tokens, temperature, self.model)
        call = ModelCall(
            self._wire,
            self._quirks,
            asked | self._options,
            messages,
            model=self.model,
            stream=self._stream,
        )
        return self._transport.submit(call)

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


class ModelCall:
    """One call: an `Exchange` that makes a ModelResponse of the server's JSON."""

    def __init__(
        self,
        wire: WireFormat,
        quirks: Quirks,
        asked: Mapping[str, object],
        messages: list[dict[str, str]],
        *,
        model: str | None,
        stream: bool,
    ) -> None:
        self._wire = wire
        self._quirks = quirks
        self._asked = asked
        self._messages = messages
        self._model = model
        self._stream = stream
        self._heeded = quirks.known
        self._sent: dict[str, object] = {}

    def body(self) -> bytes:
        """The request with all that is known of the server by now."""
        self._heeded = self._quirks.known
        asked = dict(self._asked)
        if streams(self._heeded, asked=self._stream):
            asked = self._wire.streamed(asked)
        self._sent = without_quirks(asked, self._heeded)
        return json.dumps(self._sent).encode("ascii")

    def adapt(self, refusal: Reported) -> bool:
        """Learn from a refusal. False when it was heeded already: asking again would not help."""
        quirk = quirk_in(refusal, self._sent)
        if quirk is None or quirk in self._heeded:
            return False
        logger.info("the server wants %s: asking again so, and from now on", quirk.value)
        self._quirks.learn(quirk)
        return True

    def assembler(self) -> Assembler:
        """For a reply that comes as a stream, asked for or not."""
        return self._wire.assembler()

    def read(self, data: object) -> ModelResponse:
        """The reply. Raises TypeError or its like for another shape, and ReportedError."""
        if not isinstance(data, dict):
            raise TypeError(f"a JSON object was expected, not {type(data).__name__}")
        reading = self._wire.read(data)
        counted = "estimate" if reading.usage is None else "provider"
        return ModelResponse(
            reading.text,
            reading.usage or estimate_usage(self._messages, reading.text),
            model_id=reading.model or self._model,
            meta={**reading.meta, "usage_source": counted},
        )


def json_headers(own: Mapping[str, str]) -> dict[str, str]:
    """The headers of every request, and a provider's own."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "identity",  # replies are small; nothing unpacks to gigabytes
        **own,
    }
