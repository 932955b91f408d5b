"""What a client sends to /v1/chat/completions: decoded by one typed decoder, and checked.

Nothing in a request is decoded as "anything": a few megabytes of brackets would become a gigabyte
of lists. What would change the answer and is not done here is refused; what only steers how a
single model samples is taken and passed over; an unknown name is refused, as it is by OpenAI.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from rlm_core.chat_request import (
    ChatRequest,
    ChatSettings,
    RequestInvalid,
    read_chat_request,
)
from rlm_core.errors import ConfigError
from rlm_core.json_schema import LONGEST, JsonSchema
from rlm_core.serve.problem import BadRequest

MOST_MESSAGES = 100_000
MOST_STOPS = 16
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<place>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`", re.DOTALL)

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Left = msgspec.Raw
"""Left as it is in the bytes; not decoded, only known to be JSON."""
_NOTHING = frozenset({b"", b"null", b"[]", b"{}", b"false", b"0"})


class AttachedFile(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A file that was sent along."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A part of a message. Parts of other kinds are known by their type, and refused by it."""

    type: str
    text: str | None = None
    refusal: str | None = None
    file: AttachedFile | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message; what assistants' messages carry besides (`tool_calls`, ...) is passed over."""

    role: str
    content: str | list[Part] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream shall hold besides."""

    include_usage: bool = False


class SchemaFormat(msgspec.Struct, frozen=True):
    """The schema of an answer, as OpenAI wraps it."""

    schema: Left = Left()


class ResponseFormat(msgspec.Struct, frozen=True):
    """What the answer shall be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a request may hold."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1, max_length=MOST_MESSAGES)]
    rlm: ChatSettings | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: str | Annotated[list[str], msgspec.Meta(max_length=MOST_STOPS)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    n: int | None = None
    modalities: list[str] | None = None
    tools: Left = Left()
    functions: Left = Left()
    tool_choice: Left = Left()
    function_call: Left = Left()
    audio: Left = Left()
    logprobs: Left = Left()
    top_logprobs: Left = Left()
    web_search_options: Left = Left()
    # without effect: they steer how a single model samples, or are notes of the client's own
    top_p: Left = Left()
    top_k: Left = Left()
    min_p: Left = Left()
    frequency_penalty: Left = Left()
    presence_penalty: Left = Left()
    repetition_penalty: Left = Left()
    logit_bias: Left = Left()
    seed: Left = Left()
    reasoning_effort: Left = Left()
    verbosity: Left = Left()
    prediction: Left = Left()
    user: Left = Left()
    metadata: Left = Left()
    store: Left = Left()
    service_tier: Left = Left()
    parallel_tool_calls: Left = Left()
    prompt_cache_key: Left = Left()
    prompt_cache_retention: Left = Left()
    safety_identifier: Left = Left()


@dataclass(frozen=True)
class ApiRequest:
    """What is asked, apart from what it is asked of."""

    model: str
    body: Body
    settings: ChatSettings
    schema: dict[str, object] | None
    """What the answer must fit, as a JSON schema; None where any text will do."""
    streamed: bool
    tells_usage: bool
    """Whether a stream ends with its usage."""
    most_tokens: int | None
    stops: tuple[str, ...]
    temperature: float | None

    def chat(self, direct_below_chars: int) -> ChatRequest:
        """The way that it goes, where `rlm` does not say otherwise. Raises BadRequest."""
        body, settings = self.body, self.settings
        if settings.direct_below_chars == ChatSettings().direct_below_chars:
            settings = msgspec.structs.replace(settings, direct_below_chars=direct_below_chars)
        plain: dict[str, object] = {
            "messages": msgspec.to_builtins(body.messages),
            "n": body.n,
            "modalities": body.modalities,
        }
        looked_at = ("tools", "functions", "audio", "logprobs")
        plain |= {name: bytes(getattr(body, name)) not in _NOTHING for name in looked_at}
        try:
            return read_chat_request(plain, settings)
        except RequestInvalid as error:
            raise BadRequest(str(error), param=error.param) from error


_DECODER = msgspec.json.Decoder(Body)


def read_request(raw: bytes) -> ApiRequest:
    """The request in these bytes. Raises BadRequest, with the place in it."""
    try:
        body = _DECODER.decode(raw)
    except msgspec.ValidationError as error:
        raise _as_problem(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"the body is no JSON in UTF-8: {error} (halves of surrogate pairs and NaN are none)",
            code="invalid_json",
        ) from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply", code="invalid_json") from error
    if bytes(body.top_logprobs) not in _NOTHING:
        raise BadRequest("there are no log probabilities", param="top_logprobs")
    if bytes(body.web_search_options) not in _NOTHING:
        raise BadRequest("there is no web search", param="web_search_options")
    return ApiRequest(
        model=body.model,
        body=body,
        settings=body.rlm or ChatSettings(),
        schema=_schema_in(body.response_format),
        streamed=bool(body.stream),
        tells_usage=body.stream_options is not None and body.stream_options.include_usage,
        most_tokens=body.max_completion_tokens or body.max_tokens,
        stops=_stops_in(body.stop),
        temperature=body.temperature,
    )


def _schema_in(wanted: ResponseFormat | None) -> dict[str, object] | None:
    """The schema of the answer; of "json_object" it is any object."""
    match wanted:
        case None | ResponseFormat(type="text"):
            return None
        case ResponseFormat(type="json_object"):
            return {"type": "object"}
    raw = b"" if wanted.json_schema is None else bytes(wanted.json_schema.schema)
    at = "response_format.json_schema.schema"
    if len(raw) > LONGEST:
        raise BadRequest(f"the schema has more than {LONGEST} bytes", param=at)
    try:
        schema = msgspec.json.decode(raw or b"null", type=dict[str, object])
        JsonSchema(schema)
    except (msgspec.MsgspecError, ConfigError) as error:
        raise BadRequest(f"no schema that can be checked: {error}", param=at) from error
    return schema


def _stops_in(given: str | list[str] | None) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    return tuple(each for each in stops if each)


def _as_problem(error: msgspec.ValidationError) -> BadRequest:
    """What the decoder says, in OpenAI's shape: "... - at `$.messages[0].role`" has a place."""
    found = _AT.match(str(error))
    what, place = (found["what"], found["place"] or "") if found else (str(error), "")
    unknown = _UNKNOWN.search(what)
    if unknown is not None:
        param = f"{place}.{unknown['name']}".strip(".")
        told = f"unrecognized request argument: {param}; see docs/serve.md for what is known"
        return BadRequest(told, param=param, code="unknown_parameter")
    return BadRequest(
        f"{place}: {what}" if place else what, param=place or None, code="invalid_value"
    )
