"""Whether plain JSON data fits a JSON schema: one small function for each keyword.

The schema is one that `rlm_core.json_schema` has found to be understood. What a check may cost is
bounded: a short schema can ask for 2**50 comparisons.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from rlm_core.errors import ConfigError
from rlm_core.jsonish import Misfit

MOST_CHECKS = 500_000
"""Single schemas that are held against single values, for one answer."""
DEEPEST_CHECK = 150
"""How deep checks may nest; Python's own stack ends at a thousand calls."""
SHOWN = 200  # characters of a value or a schema in a message

Schema = Mapping[str, object]


class TooCostly(Misfit):
    """Whether it fits is not found out: that is no answer to `anyOf` or `not`, and ends all."""


def resolved(root: Schema, reference: object) -> object:
    """The part of a schema that a `$ref` means. Raises ConfigError where there is none."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise ConfigError(f"$ref {reference!r}: only places in the same schema, as in #/$defs/Item")
    found: object = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        match found:
            case Mapping() if name in found:
                found = found[name]
            case list() if name.isascii() and name.isdigit() and int(name[:9]) < len(found):
                found = found[int(name[:9])]
            case _:
                raise ConfigError(f"$ref {reference!r} leads nowhere in the schema")
    return found


@dataclass
class Checking:
    """Values held against the schemas of one root; counts what that costs."""

    root: Schema
    left: int = field(default=MOST_CHECKS)

    def check(self, value: object, schema: object, path: str = "$", depth: int = 0) -> None:
        """Raises Misfit, with the place, where the value does not fit."""
        self.left -= 1
        if self.left < 0 or depth > DEEPEST_CHECK:
            raise TooCostly(f"{path}: it takes too long to check this against the schema")
        if isinstance(schema, Mapping):
            for name, wanted in schema.items():
                rule = CHECKS.get(name)
                if rule is not None:
                    rule(_At(self, value, wanted, schema, path, depth + 1))
        elif schema is False:
            raise Misfit(f"{path}: nothing is expected here")

    def misfit(self, at: _At, schema: object) -> Misfit | None:
        """What is wrong with a value by another schema, or None. Raises TooCostly."""
        try:
            self.check(at.value, schema, at.path, at.depth)
        except TooCostly:
            raise
        except Misfit as misfit:
            return misfit
        return None


@dataclass(frozen=True)
class _At:
    """A value at its place, and what one keyword of its schema wants of it."""

    checking: Checking
    value: object
    wanted: object
    schema: Schema
    path: str
    depth: int

    def expect(self, fits: object, expected: str) -> None:
        """Raises Misfit unless it fits."""
        if not fits:
            raise Misfit(f"{self.path}: expected {expected}, got {_short(self.value)}")

    def below(self, value: object, schema: object, where: str = "") -> None:
        """Check a part of the value. Raises Misfit."""
        self.checking.check(value, schema, self.path + where, self.depth)


def _type(at: _At) -> None:
    names = [str(name) for name in (at.wanted if isinstance(at.wanted, list) else [at.wanted])]
    at.expect(any(_is(at.value, name) for name in names), " or ".join(names))


def _is(value: object, name: str) -> bool:
    match value:
        case None:
            return name == "null"
        case bool():
            return name == "boolean"
        case int():
            return name in {"integer", "number"}
        case float():
            return math.isfinite(value) and (
                name == "number" or (name == "integer" and value.is_integer())
            )
        case str():
            return name == "string"
        case list():
            return name == "array"
        case dict():
            return name == "object"
    return False


def _enum(at: _At) -> None:
    choices = _list(at.wanted)
    at.expect(any(_same(at.value, each) for each in choices), f"one of {_short(choices)}")


def _const(at: _At) -> None:
    at.expect(_same(at.value, at.wanted), _short(at.wanted))


def _properties(at: _At) -> None:
    if isinstance(at.value, dict):
        for name, inner in _mapping(at.wanted).items():
            if name in at.value:
                at.below(at.value[name], inner, f".{name}")


def _required(at: _At) -> None:
    if isinstance(at.value, dict):
        for name in _list(at.wanted):
            if name not in at.value:
                raise Misfit(f"{at.path}.{name} is missing")


def _additional(at: _At) -> None:
    if not isinstance(at.value, dict):
        return
    known = _mapping(at.schema.get("properties"))
    for name, inner in at.value.items():
        if name not in known:
            if at.wanted is False:
                raise Misfit(f"{at.path}.{name} was not asked for")
            at.below(inner, at.wanted, f".{name}")


def _items(at: _At) -> None:
    if isinstance(at.value, list):
        first = len(_list(at.schema.get("prefixItems")))
        for number, inner in enumerate(at.value[first:], first):
            at.below(inner, at.wanted, f"[{number}]")


def _prefix_items(at: _At) -> None:
    if isinstance(at.value, list):
        for number, (inner, schema) in enumerate(zip(at.value, _list(at.wanted), strict=False)):
            at.below(inner, schema, f"[{number}]")


def _unique(at: _At) -> None:
    if isinstance(at.value, list) and at.wanted is True:
        different = {json.dumps(each, sort_keys=True) for each in at.value}
        at.expect(len(different) == len(at.value), "items that are all different")


def _any_of(at: _At) -> None:
    misfits = [at.checking.misfit(at, each) for each in _list(at.wanted)]
    if None not in misfits:
        raise Misfit(f"{at.path} fits none of anyOf: {_told(misfits)}")


def _one_of(at: _At) -> None:
    misfits = [at.checking.misfit(at, each) for each in _list(at.wanted)]
    fitting = misfits.count(None)
    if fitting != 1:
        raise Misfit(f"{at.path} fits {fitting} of oneOf, and must fit 1: {_told(misfits)}")


def _all_of(at: _At) -> None:
    for each in _list(at.wanted):
        at.below(at.value, each)


def _not(at: _At) -> None:
    at.expect(at.checking.misfit(at, at.wanted), f"what is not {_short(at.wanted)}")


def _reference(at: _At) -> None:
    at.below(at.value, resolved(at.checking.root, at.wanted))


@dataclass(frozen=True)
class _Bound:
    """A bound of numbers (`of` None), or of the length of a text, list or object."""

    holds: Callable[[float, float], bool]
    words: str
    of: type | None = None

    def __call__(self, at: _At) -> None:
        """Raises Misfit where it is overstepped; values of another kind are not bound by it."""
        size = self._size(at.value)
        if size is not None and isinstance(at.wanted, int | float):
            at.expect(self.holds(size, at.wanted), f"{self.words} {at.wanted}")

    def _size(self, value: object) -> float | None:
        if self.of is None:
            return value if isinstance(value, int | float) and type(value) is not bool else None
        if isinstance(value, str | list | dict) and isinstance(value, self.of):
            return len(value)
        return None


def _is_multiple(number: float, of: float) -> bool:
    if isinstance(number, int) and isinstance(of, int):
        return number % of == 0
    try:
        ratio = number / of
    except OverflowError:
        return False
    return math.isfinite(ratio) and abs(ratio - round(ratio)) < 1e-9 * max(1.0, abs(ratio))


CHECKS: dict[str, Callable[[_At], None]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "minProperties": _Bound(operator.ge, "fields: at least", dict),
    "maxProperties": _Bound(operator.le, "fields: at most", dict),
    "items": _items,
    "prefixItems": _prefix_items,
    "minItems": _Bound(operator.ge, "items: at least", list),
    "maxItems": _Bound(operator.le, "items: at most", list),
    "uniqueItems": _unique,
    "minLength": _Bound(operator.ge, "characters: at least", str),
    "maxLength": _Bound(operator.le, "characters: at most", str),
    "minimum": _Bound(operator.ge, "at least"),
    "maximum": _Bound(operator.le, "at most"),
    "exclusiveMinimum": _Bound(operator.gt, "more than"),
    "exclusiveMaximum": _Bound(operator.lt, "less than"),
    "multipleOf": _Bound(_is_multiple, "a multiple of"),
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
    "$ref": _reference,
}


def _same(value: object, other: object) -> bool:
    """Equal as JSON, where true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _told(misfits: list[Misfit | None]) -> str:
    told = "; ".join(str(each) for each in misfits if each is not None)
    return told if len(told) <= 4 * SHOWN else told[: 4 * SHOWN] + "..."


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
