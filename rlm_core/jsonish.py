"""JSON as models write it: found in what they say, and brought into the form that was asked for.

This file is also what the worker runs, beside `guest`: it imports the standard library only.

A form is given as a JSON schema, or in short: {"name": "str", "age": "int?", "tags": ["str"]}.
Types may be Python's own (`str`) or names ("str", "list[int]", "str?" for one that may be missing
or null); a list is a list of its one item; a tuple is a choice of values.
"""

from __future__ import annotations

import json
from collections.abc import Callable

RECORD_KEYS = ("records", "items", "entities", "results", "data")
_NAMES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "none": "null",
    "nonetype": "null",
}
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_SHOWN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}
_KEYWORDS = frozenset(
    {"type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "title"}
    | {"description", "additionalProperties", "minItems", "maxItems", "default", "examples"}
    | {"minimum", "maximum", "$schema"}
)
_YES, _NO = frozenset({"true", "yes"}), frozenset({"false", "no"})

Form = dict[str, object]
"""A form in its one normal way of writing: a JSON schema of the keywords above."""


class Misfit(ValueError):
    """A value is not of the form; the text says where, what is expected, and what was found."""


def parse_jsonish(text: str) -> object:
    """JSON in an answer: plain, in a fence, after "name:", or the first {...} or [...] of it."""
    stripped = unfenced(text)
    candidates = [stripped]
    if ":" in stripped:
        candidates.append(stripped.split(":", 1)[1].strip())
    spans = [(stripped.find(opening), stripped.rfind(closing)) for opening, closing in ("{}", "[]")]
    candidates += [stripped[start : end + 1] for start, end in spans if 0 <= start < end]
    for candidate in candidates:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return unparsed("Could not parse JSON from subcall response.", stripped)


def unparsed(why: str, text: str) -> dict[str, object]:
    """What stands for an answer that is no JSON, or not of the form."""
    return {"_parse_error": why, "_raw": text}


def is_unparsed(value: object) -> bool:
    """True for what `unparsed` makes."""
    return isinstance(value, dict) and "_parse_error" in value


def unfenced(text: str) -> str:
    """A text without the code fence around it."""
    stripped = text.strip()
    lines = stripped.splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1]).strip()
    return stripped


def records_in(parsed: object) -> list[dict[str, object]]:
    """The dicts in parsed JSON: in a list, below a key that names them, or the one that it is."""
    if isinstance(parsed, dict):
        nested = [parsed[key] for key in RECORD_KEYS if isinstance(parsed.get(key), list)]
        parsed = nested[0] if nested else ([] if is_unparsed(parsed) else [parsed])
    return [item for item in parsed if isinstance(item, dict)] if isinstance(parsed, list) else []


# --- forms ------------------------------------------------------------------------------------


def form_of(given: object) -> Form:
    """The form that was given, in full or in short. Raises ValueError where it means nothing."""
    if isinstance(given, type):
        return _named(given.__name__)
    if isinstance(given, str):
        return _named(given)
    if isinstance(given, list):
        return {"type": "array"} | ({"items": form_of(given[0])} if given else {})
    if isinstance(given, tuple):
        return {"enum": list(given)}
    if isinstance(given, dict):
        return _schema(given) if _is_schema(given) else _object(given)
    raise ValueError(f"{given!r} is no type: write 'str', ['int'], {{'name': 'str'}}, ...")


def shown(form: Form) -> str:
    """A form in few words, for a prompt: {name: str, tags?: [str]}."""
    if "enum" in form:
        return " | ".join(json.dumps(each, ensure_ascii=False) for each in _list(form["enum"]))
    if "anyOf" in form:
        return " | ".join(shown(_form(each)) for each in _list(form["anyOf"]))
    kind = form.get("type")
    if kind == "object" and form.get("properties"):
        needed = _list(form.get("required"))
        return "{" + ", ".join(
            f"{name}{'' if name in needed else '?'}: {shown(_form(inner))}"
            for name, inner in _form(form["properties"]).items()
        ) + "}"  # fmt: skip
    if kind == "array":
        return f"[{shown(_form(form['items']))}, ...]" if "items" in form else "[...]"
    return _SHOWN.get(str(kind), "{...}" if kind == "object" else "any JSON")


def fitted(value: object, form: Form, path: str = "$") -> object:
    """The value in this form: "5" becomes 5 where a number is expected. Raises Misfit."""
    if "enum" in form:
        return _chosen(value, _list(form["enum"]), path)
    if "anyOf" in form:
        return _any_of(value, form, path)
    match form.get("type"):
        case None:
            return value
        case "object":
            return _fitted_object(value, form, path)
        case "array":
            return _fitted_array(value, form, path)
        case kind:
            return _fitted_atom(value, str(kind), path)


def _named(name: str) -> Form:
    plain = name.strip()
    if plain.endswith("?"):
        return {"anyOf": [_named(plain[:-1]), {"type": "null"}]}
    if "|" in plain:
        return {"anyOf": [_named(part) for part in plain.split("|")]}
    lowered = plain.lower()
    if lowered.startswith("list[") and lowered.endswith("]"):
        return {"type": "array", "items": _named(plain[5:-1])}
    if lowered in {"any", "object", "json"}:
        return {} if lowered != "object" else {"type": "object"}
    kind = _NAMES.get(lowered, lowered)
    if kind not in _TYPES:
        raise ValueError(
            f"{name!r} is no type: write str, int, float, bool, list, dict, 'list[str]' or 'int?'"
        )
    return {"type": kind}


def _is_schema(given: dict[object, object]) -> bool:
    """A JSON schema, and not fields of which one happens to be called "type"."""
    if not _KEYWORDS.issuperset(map(str, given)):
        return False
    kind = given.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    nested = {"properties", "enum", "anyOf", "oneOf", "const"} & set(map(str, given))
    return bool(nested) or all(each in _TYPES for each in kinds)


def _object(given: dict[object, object]) -> Form:
    properties = {str(name).removesuffix("?"): form_of(inner) for name, inner in given.items()}
    optional = {
        str(name).removesuffix("?")
        for name, inner in given.items()
        if str(name).endswith("?") or (isinstance(inner, str) and inner.strip().endswith("?"))
    }
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed}


def _schema(given: dict[object, object]) -> Form:
    form: Form = {str(name): value for name, value in given.items()}
    if "oneOf" in form:
        form["anyOf"] = form.pop("oneOf")
    if "const" in form:
        return {"enum": [form["const"]]}
    if isinstance(form.get("type"), list):
        return {"anyOf": [form_of({**form, "type": each}) for each in _list(form["type"])]}
    if "anyOf" in form:
        form["anyOf"] = [form_of(each) for each in _list(form["anyOf"])]
    if "properties" in form:
        form["type"] = "object"
        fields = _form(form["properties"])
        form["properties"] = {name: form_of(inner) for name, inner in fields.items()}
    if "items" in form:
        form["items"] = form_of(form["items"])
    return form


# --- values -----------------------------------------------------------------------------------


def _chosen(value: object, choices: list[object], path: str) -> object:
    for choice in choices:
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return choice
    if isinstance(value, str):
        for choice in choices:
            if isinstance(choice, str) and choice.lower() == value.strip().lower():
                return choice
    raise _misfit(path, shown({"enum": choices}), value)


def _any_of(value: object, form: Form, path: str) -> object:
    kept: object = None
    for each in _list(form["anyOf"]):
        try:
            kept = fitted(value, _form(each), path)
        except Misfit:
            continue
        if kept == value and type(kept) is type(value):  # as it is, before any conversion
            return kept
    if kept is None and value is not None:
        raise _misfit(path, shown(form), value)
    return kept


def _fitted_object(value: object, form: Form, path: str) -> object:
    if not isinstance(value, dict):
        raise _misfit(path, shown(form), value)
    fields = _form(form.get("properties") or {})
    for name in _list(form.get("required")):
        if name not in value:
            raise Misfit(
                f"{path}.{name} is missing: expected {shown(_form(fields.get(str(name))))}"
            )
    if form.get("additionalProperties") is False and not fields.keys() >= value.keys():
        unknown = ", ".join(sorted(map(str, value.keys() - fields.keys())))
        raise Misfit(f"{path} has fields that were not asked for: {unknown}")
    return {
        name: fitted(inner, _form(fields[name]), f"{path}.{name}") if name in fields else inner
        for name, inner in value.items()
    }


def _fitted_array(value: object, form: Form, path: str) -> object:
    if not isinstance(value, list):
        raise _misfit(path, shown(form), value)
    least, most = form.get("minItems"), form.get("maxItems")
    if isinstance(least, int) and len(value) < least:
        raise Misfit(f"{path} has {len(value)} items: expected {least} at least")
    if isinstance(most, int) and len(value) > most:
        raise Misfit(f"{path} has {len(value)} items: expected {most} at most")
    if "items" not in form:
        return value
    inner = _form(form["items"])
    return [fitted(item, inner, f"{path}[{number}]") for number, item in enumerate(value)]


def _fitted_atom(value: object, kind: str, path: str) -> object:
    expected = _SHOWN.get(kind, kind)
    text = value.strip() if isinstance(value, str) else None
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    try:
        match kind:
            case "string" if isinstance(value, str):
                return value
            case "string" if number is not None:
                return str(number)
            case "integer" if number is not None and number == int(number):
                return int(number)
            case "integer" if text is not None:
                return int(text.replace(",", ""))
            case "number" if number is not None:
                return number
            case "number" if text is not None:
                return float(text.replace(",", ""))
            case "boolean" if isinstance(value, bool):
                return value
            case "boolean" if text is not None and text.lower() in _YES | _NO:
                return text.lower() in _YES
            case "null" if value is None or (text is not None and text.lower() == "null"):
                return None
    except (ValueError, OverflowError):
        pass  # it is no number after all: said below
    raise _misfit(path, expected, value)


# --- asking -----------------------------------------------------------------------------------


class Asking:
    """Asks for JSON of a form, a second time where the first answer was not of it.

    `is_reply` is False for what stands in the place of a reply that could not be had.
    """

    def __init__(
        self,
        ask: Callable[..., list[str]],
        schema: object,
        is_reply: Callable[[str], bool],
    ) -> None:
        self.form: Form | None = None if schema is None else form_of(schema)
        self._ask = ask
        self._is_reply = is_reply

    def values(self, prompts: list[str]) -> list[object]:
        """An answer of the form for each prompt, or what says why there is none."""
        replies, wrong = self._replies(prompts, self.form, self._value)
        return [
            unparsed(str(wrong[number]), reply) if number in wrong else self._value(reply)
            for number, reply in enumerate(replies)
        ]

    def records(self, prompts: list[str]) -> list[list[dict[str, object]]]:
        """The records for each prompt."""
        several: Form | None = None if self.form is None else {"type": "array", "items": self.form}
        replies, _ = self._replies(prompts, several, self._checked_records)
        return [self._good_records(reply) for reply in replies]

    def _replies(
        self, prompts: list[str], form: Form | None, check: Callable[[str], object]
    ) -> tuple[list[str], dict[int, Misfit]]:
        if form is None:
            return self._ask(prompts), {}
        wanted = f"Reply with JSON alone, of this form: {shown(form)}"
        prompts = [f"{prompt}\n\n{wanted}" for prompt in prompts]
        replies = self._ask(prompts)
        wrong = _misfits(replies, check)
        again = {at: misfit for at, misfit in wrong.items() if self._is_reply(replies[at])}
        if again:
            told = [
                f"{prompts[number]}\n\nYou replied:\n{replies[number][:2000]}\n\n"
                f"This is not of that form: {misfit}. Reply again, with the JSON alone."
                for number, misfit in again.items()
            ]
            for number, reply in zip(again, self._ask(told), strict=True):
                replies[number] = reply
        return replies, _misfits(replies, check)

    def _value(self, reply: str) -> object:
        parsed = parse_jsonish(reply)
        if self.form is None:
            return parsed
        if not self._is_reply(reply):
            raise Misfit("there is no reply")
        if is_unparsed(parsed):
            parsed = reply.strip()  # a plain word or number is not written as JSON
        return fitted(parsed, self.form)

    def _checked_records(self, reply: str) -> object:
        parsed = parse_jsonish(reply)
        if is_unparsed(parsed):
            raise Misfit("it is no JSON")
        return [fitted(record, self.form or {}) for record in records_in(parsed)]

    def _good_records(self, reply: str) -> list[dict[str, object]]:
        good: list[dict[str, object]] = []
        for record in records_in(parse_jsonish(reply)):
            try:
                good += records_in(fitted(record, self.form or {}))
            except Misfit:
                continue
        return good


def _misfits(replies: list[str], check: Callable[[str], object]) -> dict[int, Misfit]:
    found: dict[int, Misfit] = {}
    for number, reply in enumerate(replies):
        try:
            check(reply)
        except Misfit as misfit:
            found[number] = misfit
    return found


def _misfit(path: str, expected: str, value: object) -> Misfit:
    found = json.dumps(value, ensure_ascii=False, default=repr)
    cut = found if len(found) <= 80 else found[:80] + "..."
    return Misfit(f"{path}: expected {expected}, got {cut}")


def _form(value: object) -> Form:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
