"""Lines in the form of OpenAI's batches, in and out. Pure.

{"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [...]}}

What the request asks, and of what, is decided by `rlm_core.chat_request`; `body.rlm` may name a
`context_ref` besides: then the context is that one, and the last message the question. `model` is
told back, and the batch's own model answers. Sampling parameters are left to the batch's model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rlm_core.batch.errors import BadLine
from rlm_core.batch.task import Chat, Shared, Task, checked_id, checked_schema
from rlm_core.chat_request import (
    Asked,
    RequestInvalid,
    read_chat_request,
    settings_in,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.chat_request import Straight

URL = "/v1/chat/completions"


class ChatLine(msgspec.Struct, frozen=True):
    """The shape of a line; fields that are not named here are ignored, as OpenAI does."""

    custom_id: str
    body: dict[str, object]
    method: str = "POST"
    url: str = URL


def is_chat_line(data: Mapping[str, object]) -> bool:
    """True for a line in this form."""
    return "body" in data


def chat_task_of(data: Mapping[str, object], line: int) -> Task:
    """The task of a decoded line. Raises BadLine."""
    try:
        given = msgspec.convert(data, ChatLine)
    except msgspec.ValidationError as error:
        raise BadLine(str(error)) from error
    if given.method != "POST" or given.url != URL:
        raise BadLine(f"only POST to {URL} is answered, not {given.method} to {given.url}")
    try:
        return _task(given, line)
    except RequestInvalid as error:
        raise BadLine(f"body.{error}") from error


def _task(given: ChatLine, line: int) -> Task:
    body, shared = _without_reference(given.body)
    output = _output_of(body)
    settings = settings_in(body)
    if output is not None:  # the runtime checks it; a model that is asked directly would not
        settings = msgspec.structs.replace(settings, mode="rlm")
    model = body.get("model")
    request = read_chat_request(body, settings)
    name = model if isinstance(model, str) else None
    limits, custom_id = settings.limits(), checked_id(given.custom_id)
    if shared is not None:
        return Task(custom_id, line, _only_question(request), Shared(shared), limits, name, output)
    question = request.question if isinstance(request, Asked) else ""
    source = Chat(request, _reply_tokens(body))
    return Task(custom_id, line, question, source, limits, name, output)


def _without_reference(body: dict[str, object]) -> tuple[dict[str, object], str | None]:
    """The body as `read_chat_request` knows it, and the name of a shared context."""
    rlm = body.get("rlm")
    if not isinstance(rlm, dict) or "context_ref" not in rlm:
        return body, None
    name = rlm["context_ref"]
    if not isinstance(name, str):
        raise RequestInvalid("the name of a context is a text", "rlm.context_ref")
    rest = {key: value for key, value in rlm.items() if key != "context_ref"}
    return body | {"rlm": rest | {"mode": "rlm"}}, name


def _only_question(request: Straight | Asked) -> str:
    if isinstance(request, Asked) and not request.context.text:
        return request.question
    raise RequestInvalid(
        "with a context_ref there is no place for earlier messages and long texts: send the "
        "question alone, as one message",
        "rlm.context_ref",
    )


def _output_of(body: Mapping[str, object]) -> Mapping[str, object] | None:
    """The JSON schema that the answer must fit."""
    match body.get("response_format"):
        case None | {"type": "text"}:
            return None
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return checked_schema(schema)
    raise RequestInvalid("text or a json_schema with a schema is needed", "response_format")


def _reply_tokens(body: Mapping[str, object]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise RequestInvalid("a whole number of 1 or more is needed", name)
        return value
    return None


@dataclass(frozen=True)
class ChatReply:
    """What an answered chat line tells besides, so that programs which read OpenAI's own results
    read these too.
    """

    custom_id: str
    model: str
    answer: str
    complete: bool
    prompt_tokens: int
    completion_tokens: int

    def to_dict(self) -> dict[str, object]:
        """The `response` of a line of results."""
        completion = {
            "id": f"chatcmpl-{self.custom_id}",
            "object": "chat.completion",
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": self.answer},
                    "finish_reason": "stop" if self.complete else "length",
                }
            ],
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
                "total_tokens": self.prompt_tokens + self.completion_tokens,
            },
        }
        return {"status_code": 200, "request_id": self.custom_id, "body": completion}
