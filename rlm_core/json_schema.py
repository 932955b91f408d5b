"""JSON schemas as strangers send them: understood in every part, or refused with the place.

Understood, of JSON Schema 2020-12 (https://json-schema.org/specification): `type` (one or
several), `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`,
`maxProperties`, `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`, the bounds of
numbers and of lengths, `multipleOf`, `anyOf`, `oneOf`, `allOf`, `not`, and `$ref` to a place in
the same schema. `format` is shown to the model, and not checked. Nothing of a schema is run, and
checking has an end: that is why `pattern` is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from rlm_core.errors import ConfigError
from rlm_core.jsonish import Misfit
from rlm_core.schema_check import Checking, Schema, resolved

LONGEST = 100_000
"""Characters of a schema; all of it is shown to the model."""
DEEPEST = 60
"""How deep a schema may nest."""

Holds = Literal["plain", "schema", "schemas", "named schemas", "reference"]


@dataclass(frozen=True)
class JsonSchema:
    """A schema that is understood. Raises ConfigError, with the place, where it is not."""

    schema: Schema

    def __post_init__(self) -> None:
        try:
            length = len(json.dumps(self.schema, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"the JSON schema is no JSON: {error}") from error
        if length > LONGEST:
            raise ConfigError(f"the JSON schema is too long: {length} characters of {LONGEST}")
        _Reading(self.schema).schema(self.schema, "$", 0)

    @property
    def shown(self) -> str:
        """How a model is told of it."""
        return f"JSON that fits this JSON schema: {json.dumps(self.schema, ensure_ascii=False)}"

    def require(self, value: object) -> None:
        """Raises Misfit, with the place, where plain JSON data does not fit."""
        try:
            Checking(self.schema).check(value, self.schema)
        except RecursionError:
            raise Misfit("$ is nested too deeply") from None


class _Reading:
    """Looks at every schema within a schema, once each."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._seen: set[int] = set()

    def schema(self, schema: object, path: str, depth: int) -> None:
        """Raises ConfigError for what is not understood."""
        if isinstance(schema, bool) or id(schema) in self._seen:
            return
        if not isinstance(schema, Mapping):
            raise ConfigError(f"JSON schema, {path}: a schema is an object, not {schema!r}"[:300])
        if depth > DEEPEST:
            raise ConfigError(f"JSON schema: nested more than {DEEPEST} deep")
        self._seen.add(id(schema))
        for name, value in schema.items():
            self._keyword(name, value, f"{path}.{name}", depth)

    def _keyword(self, name: str, value: object, path: str, depth: int) -> None:
        if name in _ANNOTATIONS:
            return
        keyword = KEYWORDS.get(name)
        if keyword is None:
            hint = _HINTS.get(name, "say it in the description")
            raise ConfigError(f"JSON schema, {path}: {name} is not supported: {hint}")
        if not keyword.is_sound(value):
            raise ConfigError(f"JSON schema, {path}: expected {keyword.expected}")
        match keyword.holds:
            case "schema":
                self.schema(value, path, depth + 1)
            case "schemas":
                for number, inner in enumerate(value if isinstance(value, list) else []):
                    self.schema(inner, f"{path}[{number}]", depth + 1)
            case "named schemas":
                for each, inner in (value if isinstance(value, Mapping) else {}).items():
                    self.schema(inner, f"{path}.{each}", depth + 1)
            case "reference":
                self.schema(resolved(self._root, value), f"{path} ({value})", depth + 1)
            case "plain":
                pass


def _is_type(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    known = {"null", "boolean", "integer", "number", "string", "array", "object"}
    return bool(names) and all(isinstance(name, str) and name in known for name in names)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_filled_list(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_above_zero(value: object) -> bool:
    return _is_number(value) and isinstance(value, int | float) and value > 0


def _is_schema(value: object) -> bool:
    return isinstance(value, bool | Mapping)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_anything(_: object) -> bool:
    return True


@dataclass(frozen=True)
class Keyword:
    """What may stand behind a keyword."""

    is_sound: Callable[[object], bool]
    expected: str
    holds: Holds = "plain"


_COUNT = Keyword(_is_count, "a whole number of 0 or more")
_NUMBER = Keyword(_is_number, "a number")
_SCHEMA = Keyword(_is_schema, "a schema", "schema")
_SCHEMAS = Keyword(_is_filled_list, "a list of schemas", "schemas")
_NAMED_SCHEMAS = Keyword(_is_object, "an object of schemas", "named schemas")

KEYWORDS: dict[str, Keyword] = {
    "type": Keyword(_is_type, "the name of a JSON type, or a list of them"),
    "enum": Keyword(_is_filled_list, "a list of values"),
    "const": Keyword(_is_anything, "a value"),
    "properties": _NAMED_SCHEMAS,
    "required": Keyword(_is_names, "a list of names"),
    "additionalProperties": _SCHEMA,
    "items": _SCHEMA,
    "prefixItems": _SCHEMAS,
    "uniqueItems": Keyword(_is_bool, "true or false"),
    **dict.fromkeys(("minProperties", "maxProperties", "minItems", "maxItems"), _COUNT),
    **dict.fromkeys(("minLength", "maxLength"), _COUNT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    "multipleOf": Keyword(_is_above_zero, "a number above 0"),
    **dict.fromkeys(("anyOf", "oneOf", "allOf"), _SCHEMAS),
    "not": _SCHEMA,
    "$ref": Keyword(_is_text, "a reference as in #/$defs/Item", "reference"),
    **dict.fromkeys(("$defs", "definitions"), _NAMED_SCHEMAS),
}
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "format"}
    | {"deprecated", "readOnly", "writeOnly"}
)
_HINTS = {
    "pattern": "a regular expression of a stranger may run for ever; say it in the description",
}
