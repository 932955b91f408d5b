"""The wire format of Anthropic's Messages API: what is sent and how a reply is read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlm_core.adapters.anthropic_stream import MessageAssembler
from rlm_core.adapters.base import Usage
from rlm_core.adapters.reported import ReportedError, reported_in, tells_of_error
from rlm_core.adapters.wire import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

_SYSTEM_ROLES = frozenset({"system", "developer"})
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}
"""Stop reasons under the names that chat servers use, which is what the rest of us reads."""
_DETAILS = {
    "cached_tokens": "cache_read_input_tokens",
    "cache_creation_tokens": "cache_creation_input_tokens",
}
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_SHOWN_BLOCKS = 10


class AnthropicFormat:
    """The wire format of the Messages API."""

    def payload(
        self,
        messages: list[dict[str, str]],
        max_tokens: int,
        temperature: float | None,
        model: str | None,
    ) -> dict[str, object]:
        """The JSON object to send: the system prompt apart, the turns alternating."""
        system, turns = _split(messages)
        payload: dict[str, object] = {"max_tokens": max_tokens, "messages": turns}
        if system:
            payload["system"] = system
        if temperature is not None:
            payload["temperature"] = temperature
        if bool(model):
            payload["model"] = model
        return payload

    def streamed(self, payload: Mapping[str, object]) -> dict[str, object]:
        """The same request for a reply in a stream."""
        return {**payload, "stream": True}

    def assembler(self) -> MessageAssembler:
        """For one stream."""
        return MessageAssembler()

    def read(self, data: dict[str, object]) -> Reading:
        """What a reply says. Raises TypeError for another shape, and ReportedError."""
        if tells_of_error(data):
            raise ReportedError(reported_in(data))
        blocks = data.get("content")
        if not isinstance(blocks, list):
            raise TypeError("there is no list of content blocks")
        model = data.get("model")
        usage = data.get("usage")
        counts = usage if isinstance(usage, Mapping) else {}
        return Reading(
            "".join(_text(block) for block in blocks),
            _usage(counts),
            model if isinstance(model, str) and model else None,
            _meta(data, blocks, counts),
        )


def _split(messages: Sequence[Mapping[str, str]]) -> tuple[str, list[dict[str, str]]]:
    """(system prompt, turns). The system messages at the start are the prompt; a later one is said
    in its place by the user. Blank turns, which the API refuses, are left out."""
    system: list[str] = []
    turns: list[dict[str, str]] = []
    for message in messages:
        role, content = message.get("role", "user"), message.get("content", "")
        if not content.strip():
            continue
        if role in _SYSTEM_ROLES and not turns:
            system.append(content)
        else:
            _say(turns, "assistant" if role == "assistant" else "user", content)
    if turns and turns[-1]["role"] == "assistant":  # the API refuses a beginning that ends in space
        turns[-1]["content"] = turns[-1]["content"].rstrip()
    if not turns:
        return "", [{"role": "user", "content": "\n\n".join(system)}]
    return "\n\n".join(system), turns


def _say(turns: list[dict[str, str]], role: str, content: str) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += f"\n\n{content}"
    else:
        turns.append({"role": role, "content": content})


def _text(block: object) -> str:
    """What a block says to the user: thoughts and calls of tools are no part of the answer."""
    if not isinstance(block, Mapping):
        raise TypeError(f"a content block is of type {type(block).__name__}")
    text = block.get("text") if block.get("type") == "text" else ""
    if not isinstance(text, str):
        raise TypeError(f"the text of a content block is of type {type(text).__name__}")
    return text


def _usage(counts: Mapping[str, object]) -> Usage | None:
    """`input_tokens` leaves out what went into the cache or came from it; a prompt is all three."""
    prompt = sum(_count(counts, name) for name in ("input_tokens", *_DETAILS.values()))
    completion = _count(counts, "output_tokens")
    total = prompt + completion
    return Usage(prompt, completion, total) if total else None


def _count(counts: Mapping[str, object], name: str) -> int:
    value = counts.get(name)
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0


def _meta(
    data: Mapping[str, object], blocks: list[Mapping[str, object]], counts: Mapping[str, object]
) -> dict[str, object]:
    reason = data.get("stop_reason")
    thoughts = [block for block in blocks if block.get("type") in _THOUGHTS]
    meta: dict[str, object] = {
        "provider": "anthropic",
        "finish_reason": _FINISH_REASONS.get(reason, reason) if isinstance(reason, str) else None,
        "stop_reason": reason,
        "content_kind": "list",
        "reasoning_present": bool(thoughts),
        "reasoning_blocks": len(thoughts),
        "content_blocks": [
            {"type": block.get("type"), "text_len": len(_text(block))}
            for block in blocks[:_SHOWN_BLOCKS]
        ],
    }
    details = {name: _count(counts, key) for name, key in _DETAILS.items() if key in counts}
    return {**meta, "usage_details": details} if details else meta
