"""The chat-completions wire format: what is sent and how a reply is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rlm_core.adapters.base import Usage
from rlm_core.adapters.chat_stream import ChatAssembler
from rlm_core.adapters.reported import ReportedError, reported_in, tells_of_error
from rlm_core.adapters.wire import Reading

PayloadBuilder = Callable[
    [list[dict[str, str]], int, "float | None", "str | None"], dict[str, object]
]
"""(messages, max_tokens, temperature, model) -> the JSON object to send."""
ResponseParser = Callable[[dict[str, object]], "tuple[str, Usage | None]"]
"""The server's JSON object -> (text, usage or None). KeyError, IndexError, TypeError, ValueError
and AttributeError say that the object has another shape."""

_REASONING_KEYS = (
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_summary",
    "thinking",
)
_THOUGHTS = ("reasoning", "thinking")
_DETAILS = {
    "reasoning_tokens": ("completion_tokens_details", "reasoning_tokens"),
    "cached_tokens": ("prompt_tokens_details", "cached_tokens"),
}
"""What is told of the usage beyond the three counts: our name, and where servers put it."""
_SHOWN_BLOCKS = 10


@dataclass(frozen=True)
class ChatFormat:
    """The wire format of chat completions; `build` and `parse` may be a server's own."""

    build: PayloadBuilder
    parse: ResponseParser
    provider: str = "openai_compatible"

    def payload(
        self,
        messages: list[dict[str, str]],
        max_tokens: int,
        temperature: float | None,
        model: str | None,
    ) -> dict[str, object]:
        """The JSON object to send."""
        return self.build(messages, max_tokens, temperature, model)

    def streamed(self, payload: Mapping[str, object]) -> dict[str, object]:
        """The same request for a reply in a stream, with its usage at the end."""
        return {**payload, "stream": True, "stream_options": {"include_usage": True}}

    def assembler(self) -> ChatAssembler:
        """For one stream."""
        return ChatAssembler()

    def read(self, data: dict[str, object]) -> Reading:
        """What a reply says. Raises what `parse` raises, and ReportedError."""
        if not data.get("choices") and tells_of_error(data):
            raise ReportedError(reported_in(data))
        text, usage = self.parse(data)
        model = data.get("model")
        return Reading(text, usage, _if_text(model) or None, reply_meta(data, self.provider))


def default_payload_builder(
    messages: list[dict[str, str]],
    max_tokens: int,
    temperature: float | None,
    model: str | None,
) -> dict[str, object]:
    """The payload of an OpenAI-compatible call; temperature and model are left out when None."""
    payload: dict[str, object] = {"messages": messages, "max_tokens": max_tokens}
    if temperature is not None:
        payload["temperature"] = temperature
    if bool(model):
        payload["model"] = model
    return payload


def default_response_parser(data: dict[str, object]) -> tuple[str, Usage | None]:
    """Text and usage of an OpenAI-compatible reply. Raises TypeError for another shape."""
    message = _message(data)
    if message is None:
        raise TypeError("there is no choices[0].message")
    return content_text(message.get("content")), usage_in(data)


def usage_in(data: Mapping[str, object]) -> Usage | None:
    """The usage that a reply reports; all zero is how some servers say that they did not count."""
    reported = data.get("usage")
    usage = Usage.from_dict(reported) if isinstance(reported, Mapping) else None
    return usage if usage is not None and usage.total_tokens > 0 else None


def content_text(content: object) -> str:
    """The text of a message's content: text, nothing, or a list of blocks that hold text."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "\n".join(text for block in content if (text := _block_text(block)))
        case _:
            raise TypeError(f"the message's content is of type {type(content).__name__}")


def reply_meta(
    data: Mapping[str, object], provider: str = "openai_compatible"
) -> dict[str, object]:
    """What else a reply tells: finish_reason, the kind of content, reasoning, usage in detail."""
    choice = _choice(data)
    if choice is None:
        return {}
    message = _message(data) or {}
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    meta: dict[str, object] = {
        "provider": provider,
        "finish_reason": choice.get("finish_reason"),
        "content_kind": _kind(content),
        "reasoning_present": any(message.get(key) for key in _REASONING_KEYS)
        or any(_is_thought(block) for block in blocks),
    }
    if details := _usage_details(data.get("usage")):
        meta["usage_details"] = details
    if isinstance(content, list):
        meta["content_blocks"] = [_block_summary(block) for block in blocks[:_SHOWN_BLOCKS]]
    return meta


def _usage_details(usage: object) -> dict[str, int]:
    if not isinstance(usage, Mapping):
        return {}
    found: dict[str, int] = {}
    for name, (group, key) in _DETAILS.items():
        details = usage.get(group)
        count = details.get(key) if isinstance(details, Mapping) else None
        if isinstance(count, int) and count >= 0 and not isinstance(count, bool):
            found[name] = count
    return found


def _choice(data: Mapping[str, object]) -> Mapping[str, object] | None:
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    return None


def _message(data: Mapping[str, object]) -> Mapping[str, object] | None:
    choice = _choice(data)
    message = choice.get("message") if choice is not None else None
    return message if isinstance(message, Mapping) else None


def _block_text(block: object) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, Mapping) or _is_thought(block):
        return ""  # a model's thoughts are not its answer
    return _if_text(block.get("text")) or _if_text(block.get("content"))


def _is_thought(block: object) -> bool:
    kind = _block_type(block).lower()
    return any(word in kind for word in _THOUGHTS)


def _block_type(block: object) -> str:
    if isinstance(block, Mapping):
        return _if_text(block.get("type")) or "object"
    return type(block).__name__


def _block_summary(block: object) -> dict[str, object]:
    return {"type": _block_type(block), "text_len": len(_block_text(block))}


def _kind(content: object) -> str:
    names = {type(None): "null", str: "string", list: "list"}
    return names.get(type(content), type(content).__name__)


def _if_text(value: object) -> str:
    return value if isinstance(value, str) else ""
