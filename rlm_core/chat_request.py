"""A chat request as a question about a context: one rule, for everything that speaks OpenAI's form.

The rule, where `rlm` in the request does not say otherwise:

1. A request of fewer than `direct_below_chars` characters in all goes straight to the model.
2. Otherwise the last message, which must be the user's, is the question. What comes before it is
   the context: each earlier message of the user, the assistant or a tool is a document, and so is
   each attached text file, and each text part of more than `QUESTION_CHARS` characters.
3. System (and developer) messages up to `QUESTION_CHARS` are instructions and stay with the
   question; longer ones are documents too.
4. A last message that is nothing but long is a document, and the question shows how it begins and
   how it ends: people write what they want at either end.

`rlm` in the request overrides it: `{"mode": "auto" | "rlm" | "direct", "question": "...",
"context": "..." or ["...", ...], "direct_below_chars": 8000}`; an own `question` makes the last
message a document like the others, an own `context` is one more. Lengths are in characters.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

import msgspec

from rlm_core.context import DOCUMENT_SEPARATOR, Context
from rlm_core.errors import ContextError, RLMError
from rlm_core.files import decode

QUESTION_CHARS = 4_000
"""A longer text is material, not a question: the model searches it instead of reading it."""
DIRECT_BELOW_CHARS = 8_000
"""As in `RouterConfig`: what is shorter than this a model reads faster than it searches."""
EXCERPT_CHARS = 1_500
ROLES = ("system", "developer", "user", "assistant", "tool")
LIMITS = ("max_steps", "max_subcalls", "max_total_tokens", "max_seconds", "max_cost")
"""What a request, and a task of a batch, may limit: fields of `Policy`."""
_INSTRUCTING = ("system", "developer")
_REFUSED_PARTS = {
    "image_url": "images",
    "input_audio": "audio",
    "video_url": "videos",
}
_MOST_DOCUMENTS_NAMED = 20


class RequestInvalid(RLMError, ValueError):
    """The request cannot be answered as it is; `param` is the place in it, as in `messages[2]`."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message if param is None else f"{param}: {message}")
        self.param = param


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `rlm` in a request may say. Limits that it does not name are the caller's."""

    mode: Literal["auto", "rlm", "direct"] = "auto"
    question: str | None = None
    context: str | list[str] | None = None
    direct_below_chars: int = DIRECT_BELOW_CHARS
    max_steps: int | None = None
    max_subcalls: int | None = None
    max_total_tokens: int | None = None
    max_seconds: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.limits().items():
            if not value >= (0 if name in {"max_subcalls", "max_cost"} else 1e-9):
                raise ValueError(f"{name} is too small: {value}")

    def limits(self) -> dict[str, int | float]:
        """The limits that are named, by the names of `Policy`."""
        given = {name: getattr(self, name) for name in LIMITS}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Straight:
    """Short: these messages go to the model as they are."""

    messages: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """Long: a question, with the instructions that go with it, about a context."""

    question: str
    context: Context


ChatRequest = Straight | Asked


@dataclass(frozen=True)
class _Text:
    """A piece of a message; `name` is what an attached file is called."""

    text: str
    name: str | None = None


@dataclass(frozen=True)
class _Message:
    role: str
    texts: tuple[_Text, ...]

    @property
    def whole(self) -> str:
        """All of it, as a model without parts reads it."""
        return "\n\n".join(piece.text for piece in self.texts)


def read_chat_request(
    body: Mapping[str, object], settings: ChatSettings | None = None
) -> ChatRequest:
    """What a request asks, and of what. Pure. Raises RequestInvalid, with the place in it.

    `settings` are those of `settings_in(body)`, where the caller has read them already.
    """
    settings = settings_in(body) if settings is None else settings
    refuse_unsupported(body)
    messages = _messages_in(body)
    own = _own_context(settings)
    length = sum(len(piece.text) for each in messages for piece in each.texts)
    if _goes_straight(settings, length + sum(map(len, own))):
        return Straight(tuple({"role": each.role, "content": each.whole} for each in messages))
    return _asked(messages, settings.question, own)


def settings_in(body: Mapping[str, object]) -> ChatSettings:
    """The `rlm` object of a request, checked. Raises RequestInvalid."""
    given = body.get("rlm")
    if given is None:
        return ChatSettings()
    try:
        return msgspec.convert(given, ChatSettings)
    except msgspec.ValidationError as error:
        raise RequestInvalid(str(error), "rlm") from error


def refuse_unsupported(body: Mapping[str, object]) -> None:
    """Raises RequestInvalid for what would change the answer and is not there; the rest is left to
    the caller.
    """
    if body.get("n") not in (None, 1):  # a tuple: it may be a list, which no set can hold
        raise RequestInvalid("only one answer is given: leave n out", "n")
    for name in ("tools", "functions"):
        if body.get(name):
            raise RequestInvalid(f"{name} are not supported: leave {name} out", name)
    modalities = body.get("modalities")
    if body.get("audio") or (modalities and modalities != ["text"]):
        raise RequestInvalid("only text is answered: leave audio and modalities out", "modalities")
    if body.get("logprobs"):
        raise RequestInvalid("there are no log probabilities: leave logprobs out", "logprobs")


def _goes_straight(settings: ChatSettings, length: int) -> bool:
    if settings.mode == "direct":
        if settings.question is not None or settings.context is not None:
            raise RequestInvalid("question and context need the mode 'rlm' or 'auto'", "rlm.mode")
        return True
    if settings.question is not None or settings.context is not None:
        return False
    return settings.mode == "auto" and length < settings.direct_below_chars


def _asked(messages: Sequence[_Message], question: str | None, own: Sequence[str]) -> Asked:
    *earlier, last = messages
    documents = [_Text(text, f"context {number}") for number, text in enumerate(own, 1)]
    instructions: list[str] = []
    for number, message in enumerate(earlier, 1):
        if message.role in _INSTRUCTING and len(message.whole) <= QUESTION_CHARS:
            instructions.append(message.whole)
        else:
            documents += _as_documents(message, f"message {number} ({message.role})")
    name = f"message {len(messages)} ({last.role})"
    if question is None:
        documents += [
            _Text(piece.text, piece.name or name) for piece in last.texts if not _asks(piece)
        ]
        question = "\n\n".join(piece.text for piece in last.texts if _asks(piece)).strip()
        question = question or _ends_of(last, name)
    else:
        documents += _as_documents(last, name)
    return Asked(_with_instructions(question, instructions, documents), _context_of(documents))


def _asks(piece: _Text) -> bool:
    """True for a piece of the last message that is the question, or a part of it."""
    return piece.name is None and len(piece.text) <= QUESTION_CHARS


def _as_documents(message: _Message, name: str) -> list[_Text]:
    return [_Text(piece.text, piece.name or name) for piece in message.texts if piece.text]


def _ends_of(message: _Message, name: str) -> str:
    text = message.whole
    return (
        f"The request is too long to be shown: it is in the context, as {name!r}. Do what it asks."
        f"\n\nIt begins:\n{text[:EXCERPT_CHARS]}\n\nIt ends:\n{text[-EXCERPT_CHARS:]}"
    )


def _with_instructions(
    question: str, instructions: Sequence[str], documents: Sequence[_Text]
) -> str:
    parts = [f"Instructions for the answer:\n{each}" for each in instructions]
    if len(documents) > 1:
        names = [f"{number}: {each.name}" for number, each in enumerate(documents)]
        more = len(names) - _MOST_DOCUMENTS_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        listed = "; ".join(names[:_MOST_DOCUMENTS_NAMED])
        parts.append(f"The context holds what came with the question ({listed}{rest}).")
    return "\n\n".join([*parts, question])


def _context_of(documents: Sequence[_Text]) -> Context:
    texts = tuple(each.text for each in documents)
    names = tuple(each.name or "" for each in documents)
    if len(texts) <= 1:
        return Context("".join(texts), texts, paths=names)
    return Context(DOCUMENT_SEPARATOR.join(texts), texts, "document_list", names)


def _own_context(settings: ChatSettings) -> list[str]:
    given = settings.context
    texts = [] if given is None else [given] if isinstance(given, str) else given
    return [_sound(text, "rlm.context") for text in texts]


def _messages_in(body: Mapping[str, object]) -> list[_Message]:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise RequestInvalid("a list of at least one message is needed", "messages")
    messages = [_message(each, f"messages[{index}]") for index, each in enumerate(given)]
    if messages[-1].role != "user":
        raise RequestInvalid("the last message must be the user's", f"messages[{len(given) - 1}]")
    if not messages[-1].whole.strip():
        raise RequestInvalid("the last message is empty", f"messages[{len(given) - 1}]")
    return messages


def _message(given: object, at: str) -> _Message:
    if not isinstance(given, dict):
        raise RequestInvalid("a message is an object with role and content", at)
    role = given.get("role")
    if role not in ROLES:
        raise RequestInvalid(f"{role!r} is none of {', '.join(ROLES)}", f"{at}.role")
    content = given.get("content")
    match content:
        case str():
            return _Message(role, (_Text(_sound(content, f"{at}.content")),))
        case list():
            places = enumerate(content)
            return _Message(role, tuple(_part(each, f"{at}.content[{i}]") for i, each in places))
        case None if role == "assistant":  # it called tools, and said nothing
            return _Message(role, ())
    raise RequestInvalid("content is a text or a list of parts", f"{at}.content")


def _part(given: object, at: str) -> _Text:
    match given:
        case {"type": "text", "text": str(text)}:
            return _Text(_sound(text, f"{at}.text"))
        case {"type": "refusal", "refusal": str(text)}:
            return _Text(_sound(text, f"{at}.refusal"))
        case {"type": "file", "file": dict(file)}:
            return _file(file, f"{at}.file")
        case {"type": str(kind)} if kind in _REFUSED_PARTS:
            raise RequestInvalid(f"{_REFUSED_PARTS[kind]} are not supported, only text", at)
    raise RequestInvalid('a part is {"type": "text", "text": ...} or a file of text', at)


def _file(file: Mapping[str, object], at: str) -> _Text:
    """An attached text: `file_data` is a data URL or plain base64, as clients send it."""
    data = file.get("file_data")
    if not isinstance(data, str):
        raise RequestInvalid("send the text itself as file_data (base64); ids are unknown", at)
    given = file.get("filename")
    name = given if isinstance(given, str) and given else "attached file"
    try:
        return _Text(decode(_bytes_of(data), name), name)
    except (binascii.Error, ContextError, ValueError) as error:
        raise RequestInvalid(f"no text in UTF-8: {error}", f"{at}.file_data") from error


def _bytes_of(data: str) -> bytes:
    if not data.startswith("data:"):
        return base64.b64decode(data, validate=True)
    head, comma, payload = data.partition(",")
    if not comma:
        raise ValueError("a data URL without a comma")
    if head.endswith(";base64"):
        return base64.b64decode(payload, validate=True)
    return unquote_to_bytes(payload)


def _sound(text: str, at: str) -> str:
    """The text, if it can be said in UTF-8: JSON may hold halves of surrogate pairs."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RequestInvalid("half a surrogate pair is no text", at) from error
    return text
