"""The chat-completions wire format: what is sent and how a reply is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rlm_core.adapters.base import Usage

PayloadBuilder = Callable[
    [list[dict[str, str]], int, "float | None", "str | None"], dict[str, object]
]
"""(messages, max_tokens, temperature, model) -> the JSON object to send."""
ResponseParser = Callable[[dict[str, object]], "tuple[str, Usage | None]"]
"""The server's JSON object -> (text, usage or None). KeyError, IndexError, TypeError, ValueError
and AttributeError say that the object has another shape."""

_REASONING_KEYS = ("reasoning", "reasoning_content", "reasoning_summary")
_SHOWN_BLOCKS = 10


@dataclass(frozen=True)
class ChatFormat:
    """One dialect: builds the payload of a call and reads the text and usage of its reply."""

    build: PayloadBuilder
    parse: ResponseParser


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
    usage = data.get("usage")
    return content_text(message.get("content")), (
        Usage.from_dict(usage) if isinstance(usage, Mapping) and usage else None
    )


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


def reply_meta(data: Mapping[str, object]) -> dict[str, object]:
    """What else a reply tells: finish_reason, the kind of content, whether there was reasoning."""
    choice = _choice(data)
    if choice is None:
        return {}
    message = _message(data) or {}
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    meta: dict[str, object] = {
        "provider": "openai_compatible",
        "finish_reason": choice.get("finish_reason"),
        "content_kind": _kind(content),
        "reasoning_present": any(message.get(key) for key in _REASONING_KEYS)
        or any("reasoning" in _block_type(block).lower() for block in blocks),
    }
    if isinstance(content, list):
        meta["content_blocks"] = [_block_summary(block) for block in blocks[:_SHOWN_BLOCKS]]
    return meta


def error_message(data: object) -> tuple[str, str]:
    """(message, code) of a server's error object in its usual shapes; "" where there is none."""
    if isinstance(data, Mapping):
        error = data.get("error", data)
        if isinstance(error, str):
            return error, ""
        if isinstance(error, Mapping):
            text = error.get("message") or error.get("detail") or ""
            code = error.get("code") or error.get("type") or ""
            return _if_text(text), _if_text(code)
    return "", ""


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
    if not isinstance(block, Mapping) or "reasoning" in _block_type(block).lower():
        return ""  # a model's thoughts are not its answer
    return _if_text(block.get("text")) or _if_text(block.get("content"))


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
