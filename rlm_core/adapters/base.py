"""What every model looks like to the rest of the package: messages in, text and usage out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlm_core.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Usage:
    """Tokens that one call of a model used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Usage:
        """Usage as chat servers report it; a missing total is the sum of the two parts."""
        prompt = _whole_number(data.get("prompt_tokens"))
        completion = _whole_number(data.get("completion_tokens"))
        return cls(
            prompt, completion, _whole_number(data.get("total_tokens")) or prompt + completion
        )

    def to_dict(self) -> dict[str, int]:
        """The three counts under the names that chat servers use."""
        return dict(vars(self))


@dataclass(frozen=True)
class ModelResponse:
    """One reply of a model."""

    text: str
    usage: Usage
    model_id: str | None = None
    """The model that answered, as the server names it; None where nobody said."""
    meta: dict[str, object] | None = None
    """What else is known. Of served models: `finish_reason` ("stop", "length", ...),
    `usage_source` ("provider", or "estimate" where the provider was silent), `usage_details`
    (`reasoning_tokens`, `cached_tokens`, ... as far as told), `reasoning_present`, `content_kind`.
    """


class ModelAdapter(Protocol):
    """A model. Write a class with this one method to connect your own.

    `complete` is called from several threads at once. An adapter may also have
    - `model` (str): the name by which it has a price and a provider's limits;
    - `identity` (str: class, endpoint and model, never a key): cached replies are kept apart by it;
    - `cacheable` (bool): False where a reply must not be given again later;
    - `instant` (bool): True where `complete` never waits: it is called in the thread that asks, and
      cannot be cancelled;
    - `submit`, which takes what `complete` takes and returns a `concurrent.futures.Future`:
      cancelling the future ends the call in flight.
    """

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
    ) -> ModelResponse:
        """The model's reply to `messages` ({"role": ..., "content": ...}), at most `max_tokens`.

        The list is the adapter's own; the messages in it are for reading.
        """
        ...


def estimate_usage(prompt: str | Sequence[Mapping[str, str]], completion: str) -> Usage:
    """Usage by rule of thumb, for servers that report none. `prompt` is text or messages."""
    text = prompt if isinstance(prompt, str) else prompt_text(prompt)
    prompt_tokens = max(1, estimate_tokens(text))
    completion_tokens = max(1, estimate_tokens(completion))
    return Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)


def prompt_text(messages: Sequence[Mapping[str, str]]) -> str:
    """All that the model is shown, as one text: the contents joined by newlines."""
    return "\n".join([message.get("content", "") for message in messages])


def identity_of(adapter: object) -> str:
    """What tells this adapter's replies from another's: its `identity`, or its class and model."""
    identity = getattr(adapter, "identity", None)
    if isinstance(identity, str):
        return identity
    kind = type(adapter)
    return f"{kind.__module__}.{kind.__qualname__}:{getattr(adapter, 'model', None) or ''}"


def _whole_number(value: object) -> int:
    """Counts come from a server: anything that is no count reads as 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, int(value)) if value == value and abs(value) < 1e15 else 0
