"""Servers that speak a provider's language strictly: they judge requests as the provider does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.rlm_core.adapters.chat_server import Judge, Stream, chat, events, json_reply

if TYPE_CHECKING:
    from tests.rlm_core.adapters.chat_server import Behaviour, Reply, Request

KEY = "sk-test-0123456789abcdef"
THOUGHT = "Let me think about that."
CLAUDE = "claude-test-4"


def anthropic_error(status: int, kind: str, message: str, **headers: str) -> Reply:
    error = {"type": kind, "message": message}
    data = {"type": "error", "error": error, "request_id": "req_011"}
    return json_reply(data, status, **headers)


def anthropic_message(
    *blocks: dict[str, object], stop_reason: str = "end_turn", **usage: int
) -> dict[str, object]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_events(
    *texts: str, thought: str = "", stop_reason: str = "end_turn"
) -> tuple[bytes, ...]:
    """A streamed message, as the API sends it: pings in between, usage at both ends."""
    start = anthropic_message(input_tokens=11, cache_read_input_tokens=100, output_tokens=1)
    said: list[object] = [
        {"type": "message_start", "message": start | {"stop_reason": None}},
        {"type": "ping"},
    ]
    if thought:
        thinking = {"type": "thinking", "thinking": "", "signature": ""}
        said += [
            {"type": "content_block_start", "index": 0, "content_block": thinking},
            _delta(0, type="thinking_delta", thinking=thought),
            _delta(0, type="signature_delta", signature="EqQBCgIYAhIM"),
            {"type": "content_block_stop", "index": 0},
        ]
    index = 1 if thought else 0
    text_block = {"type": "text", "text": ""}
    said.append({"type": "content_block_start", "index": index, "content_block": text_block})
    said += [_delta(index, type="text_delta", text=text) for text in texts]
    ended = {"stop_reason": stop_reason, "stop_sequence": None}
    said += [
        {"type": "content_block_stop", "index": index},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 15}},
        {"type": "message_stop"},
    ]
    return events(*said, named=True)


def _delta(index: int, **delta: str) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def anthropic(request: Request) -> Behaviour:
    """The Messages API: refuses what the real one refuses, and says the last turn backwards."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    payload = request.payload
    if headers.get("x-api-key") != KEY:
        return anthropic_error(401, "authentication_error", "invalid x-api-key")
    if headers.get("anthropic-version") != "2023-06-01":
        return anthropic_error(
            400, "invalid_request_error", "anthropic-version: header is required"
        )
    if request.path != "/v1/messages":
        return anthropic_error(404, "not_found_error", "Not found")
    turns = payload.get("messages")
    if (fault := _fault(payload, turns)) is not None:
        return anthropic_error(400, "invalid_request_error", fault)
    assert isinstance(turns, list)
    said = str(turns[-1]["content"])[::-1]
    if payload.get("stream") is True:
        return Stream(anthropic_events(said[:2], said[2:], thought=THOUGHT))
    text = {"type": "text", "text": said}
    thinking = {"type": "thinking", "thinking": THOUGHT, "signature": "EqQBCgIYAhIM"}
    return json_reply(
        anthropic_message(
            thinking,
            text,
            input_tokens=11,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=100,
            output_tokens=15,
        )
    )


def _fault(payload: dict[str, object], turns: object) -> str | None:
    if not isinstance(payload.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not isinstance(turns, list) or not turns:
        return "messages: at least one message is required"
    if any(turn["role"] not in {"user", "assistant"} for turn in turns):
        return "messages: Unexpected role"
    if any(not turn["content"].strip() for turn in turns):
        return "messages: text content blocks must be non-empty"
    if turns[-1]["role"] == "assistant" and turns[-1]["content"] != turns[-1]["content"].rstrip():
        return "messages: final assistant content cannot end with trailing whitespace"
    if "system" in payload and not isinstance(payload["system"], str):
        return "system: Input should be a valid string"
    if "thinking" in payload and payload.get("temperature", 1) != 1:
        return "`temperature` may only be set to 1 when thinking is enabled."
    return None


def openai_error(status: int, message: str, **more: str | None) -> Reply:
    fields = {"type": "invalid_request_error", "param": None, "code": None}
    return json_reply({"error": {"message": message} | fields | more}, status)


def reasoning_model(request: Request) -> Behaviour:
    """A model that reasons, as OpenAI and Azure serve it: no temperature, another limit."""
    payload = request.payload
    if "max_tokens" in payload:
        return openai_error(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if payload.get("temperature", 1) != 1:
        return openai_error(
            400,
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the "
            "default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        )
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 70,
        "total_tokens": 79,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    return chat(f"within {payload['max_completion_tokens']}", usage=usage, model="o-test")


def chunks(*texts: str, usage: dict[str, int] | None = None, **more: object) -> tuple[bytes, ...]:
    """A streamed chat completion, as OpenAI sends it; without `[DONE]`."""
    head = {"id": "c1", "object": "chat.completion.chunk", "model": "streamer", **more}
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text} for text in texts]
    said: list[object] = [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    said.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        said.append(head | {"choices": [], "usage": usage})
    return events(*said)


def only_streams(request: Request) -> Behaviour:
    """A model that is served as a stream and no other way, by a server that knows no options."""
    payload = request.payload
    if payload.get("stream") is not True:
        return openai_error(
            400,
            "This model only support stream mode, please enable the stream parameter to access "
            "the model.",
            code="invalid_parameter_error",
        )
    if "stream_options" in payload:
        return openai_error(400, "Unrecognized request argument supplied: stream_options")
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return Stream((*chunks("streamed ", "words", usage=usage), *events("[DONE]")))


ANTHROPIC = Judge(anthropic)
REASONING_MODEL = Judge(reasoning_model)
ONLY_STREAMS = Judge(only_streams)
