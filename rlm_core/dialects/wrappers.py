"""Code or answers in the dress of a tool call, an XML tag or an agent's protocol."""

from __future__ import annotations

import json
import re

from msgspec import Struct

_THOUGHT = r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think"
_OPENING = re.compile(
    rf"^[ \t]*(?:<(?P<tag>{_THOUGHT})>|\[(?P<mark>THINK)\])", re.IGNORECASE | re.MULTILINE
)
_OPEN_THOUGHT = re.compile(
    rf"^[ \t]*(?:<(?:{_THOUGHT})>|\[THINK\]).*\Z", re.DOTALL | re.IGNORECASE | re.MULTILINE
)
_THOUGHT_END = re.compile(
    rf"^[ \t]*</(?:{_THOUGHT})>|</(?:{_THOUGHT})>[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_NEXT_TURN = re.compile(r"^\[REPL Result\].*\Z", re.DOTALL | re.MULTILINE)  # it went on alone
_END_MARK = re.compile(r"(?:<\|[\w./-]{1,40}\|>|</s>|<eos>|<end_of_turn>|\[/?INST\])\Z")
_LONGEST_END_MARK = 44
_HARMONY = re.compile(
    r"<\|channel\|>\s*(?P<channel>\w+)(?P<to>[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>"
)
_HARMONY_END = re.compile(r"<\|(?:end|call|return|start)\|>.*", re.DOTALL)
_TAG = re.compile(
    r"<(?P<tag>execute|code|python|py|repl|execute_ipython|tool_code|run|code_interpreter)>"
    r"[ \t]*\n?"
    r"(?P<body>.*?)(?:</(?P=tag)>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_ANSWER_TAG = re.compile(
    r"<(?P<tag>answer|final|final_answer)>(?P<body>.*?)</(?P=tag)>", re.DOTALL | re.IGNORECASE
)
_INVOKE = re.compile(
    r"<parameter name=\"?(?:code|source|command|input)\"?>(?P<body>.*?)(?:</parameter>|\Z)",
    re.DOTALL,
)
_REACT = re.compile(
    r"^Action:[^\n]*\n+Action Input:[ \t]*(?P<body>.*?)(?:^Observation:.*|\Z)",
    re.DOTALL | re.MULTILINE,
)
_TOOL_CALL = re.compile(
    r"(?:<tool_calls?>|<function_call>|\[TOOL_CALLS\]|<\|python_tag\|>)\s*(?P<body>.*?)"
    r"(?:</tool_calls?>|</function_call>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_CODE_KEYS = ("code", "source", "python", "python_code", "script", "cell", "input")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "action_input", "tool_input", "function")
_ANSWER_KEYS = ("final_answer", "FINAL", "final", "answer")
_ASIDE_KEYS = frozenset({"reasoning", "thought", "thoughts", "explanation", "confidence", "ready"})


class WrappedCode(Struct, frozen=True):
    """Code that stood inside a wrapper."""

    source: str


class WrappedAnswer(Struct, frozen=True):
    """An answer that stood inside a wrapper."""

    text: str


def without_thoughts(text: str) -> str:
    """The reply without what the model thought aloud (<think>, channels) and without end marks."""
    text = _spoken(text)
    text = _without_closed_thoughts(text)
    for end in _THOUGHT_END.finditer(text):  # its beginning was part of the prompt
        text = text[end.end() :]
        break
    text = _OPEN_THOUGHT.sub("", text)
    text = _NEXT_TURN.sub("", text)
    return _without_end_marks(text).strip("\n")


def unwrapped(text: str) -> WrappedCode | WrappedAnswer | None:
    """What a wrapper around the whole reply holds, or None where there is no wrapper."""
    for pattern in (_INVOKE, _TAG, _REACT):
        match = pattern.search(text)
        if match is not None and match["body"].strip():
            return WrappedCode(match["body"])
    call = _TOOL_CALL.search(text)
    body = call["body"] if call is not None else text
    wrapped = _from_json(body)
    if wrapped is not None:
        return wrapped
    answer = _ANSWER_TAG.search(text)
    return WrappedAnswer(answer["body"].strip()) if answer and answer["body"].strip() else None


def _without_closed_thoughts(text: str) -> str:
    """The text without thoughts that have a beginning and an end. One pass, however many begin."""
    kept: list[str] = []
    position = 0
    unclosed: set[str] = set()
    for opening in _OPENING.finditer(text):
        closing = f"</{opening['tag'].lower()}>" if opening["tag"] else "[/think]"
        if opening.start() < position or closing in unclosed:
            continue
        end = re.compile(re.escape(closing), re.IGNORECASE).search(text, opening.end())
        if end is None:
            unclosed.add(closing)
            continue
        kept.append(text[position : opening.start()])
        position = end.end()
    return "".join([*kept, text[position:]]) if position else text


def _without_end_marks(text: str) -> str:
    """The text without the marks by which a template ends a turn."""
    while True:
        text = text.rstrip()
        mark = _END_MARK.search(text[-_LONGEST_END_MARK:])
        if mark is None:
            return text
        text = text[: len(text) - len(mark[0])]


def _spoken(text: str) -> str:
    """Of a reply in channels, the last one that is no analysis; code sent to a tool is fenced."""
    parts = list(_HARMONY.finditer(text))
    for part in reversed(parts):
        if part["channel"].lower() != "analysis" or "to=" in part["to"]:
            body = _HARMONY_END.sub("", text[part.end() :])
            return f"```python\n{body}\n```" if "python" in part["to"] else body
    return "" if parts else text


def _from_json(text: str) -> WrappedCode | WrappedAnswer | None:
    text = text.strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        data: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return _from_data(data, depth=0)


def _from_data(data: object, *, depth: int) -> WrappedCode | WrappedAnswer | None:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if isinstance(data, str) and depth:
        return _from_json(data)
    if not isinstance(data, dict) or depth > 3:
        return None
    for key in _CODE_KEYS:
        value = data.get(key)
        if isinstance(value, str) and value.strip():
            return WrappedCode(value)
    for key in _ARGUMENT_KEYS:
        found = _from_data(data.get(key), depth=depth + 1)
        if found is not None:
            return found
    return _answer_in(data)


def _answer_in(data: dict[object, object]) -> WrappedAnswer | None:
    """An answer only where nothing else is said: other keys mean that the object is the data."""
    for key in _ANSWER_KEYS:
        value = data.get(key)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            others = {str(other).lower() for other in data} - {key.lower()}
            return WrappedAnswer(str(value)) if others <= _ASIDE_KEYS else None
    return None
