"""Answers of a type: what the model is told of it, and how what it gives becomes a typed value."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from rlm_core.errors import ConfigError
from rlm_core.json_schema import JsonSchema
from rlm_core.jsonish import Misfit, is_unparsed, parse_jsonish
from rlm_core.stimuli import Value
from rlm_core.typed import Mistyped, Typed

LONGEST_LITERAL = 4_000_000
"""Characters of a text that is read as a Python literal; the parser needs a hundred times that."""
_ATOMS = {
    "AnyType": "any",
    "NoneType": "null",
    "BoolType": "bool",
    "IntType": "int",
    "FloatType": "float",
    "StrType": "str",
    "BytesType": "bytes",
    "DateTimeType": "datetime (ISO 8601)",
    "DateType": "date (ISO 8601)",
    "TimeType": "time (ISO 8601)",
    "TimeDeltaType": "duration (ISO 8601)",
    "UUIDType": "UUID",
    "DecimalType": "decimal",
}
_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"), ("multiple_of", "multiple of"))
_SIZES = (("min_length", "at least"), ("max_length", "at most"))
_TASK = """

The answer must be a value of this type: {shown}
Build it in a variable from plain Python data (dicts, lists, numbers, texts) and finish with \
FINAL_VAR: its_name. A short one may be written after FINAL: as JSON. It is checked: when it does \
not fit you are told what is wrong, and can put it right."""

_MISTYPED = "The answer is not of the type that was asked for: {error}. Put it right: {shown}"


class AnswerType:
    """A type that the answer of a run must have.

    Types are those of msgspec: Struct, dataclass, TypedDict, NamedTuple, Enum, Literal, builtin
    types and what is made of them; or a JSON schema as a dict (see `rlm_core.json_schema` for what
    is understood of it), for an answer that is plain JSON data. Raises ConfigError for a type that
    plain data cannot become, and for a schema that cannot be checked.
    """

    def __init__(self, kind: Any) -> None:
        self._form: _PythonType | _SchemaType = (
            _SchemaType(kind) if isinstance(kind, Mapping) else _PythonType(kind)
        )
        self.shown = self._form.shown
        self.schema: Mapping[str, object] | None = kind if isinstance(kind, Mapping) else None
        """The JSON schema, where the type was given as one."""

    def task(self) -> str:
        """What the model is told, at the end of its system prompt."""
        return _TASK.format(shown=self.shown)

    def read(self, value: Value) -> Typed | Mistyped:
        """The value as this type, or what the model has to put right."""
        if value.data is not None:
            return self._of_data(value.data)
        as_it_is = self._of_data(value.text)
        if isinstance(as_it_is, Typed):
            return as_it_is
        stripped = self._of_data(value.text.strip())
        if isinstance(stripped, Typed):
            return stripped
        parsed = _parsed(value.text)
        return as_it_is if parsed is None else self._of_data(parsed)

    def _of_data(self, data: object) -> Typed | Mistyped:
        try:
            return Typed(self._form.made_of(data))
        except (msgspec.ValidationError, Misfit, RecursionError) as error:
            return Mistyped(_MISTYPED.format(error=error, shown=self.shown))


class _PythonType:
    """A type of Python's, as msgspec knows them."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        try:
            self.shown = _Writer().whole(inspect.type_info(kind))
        except (TypeError, RecursionError) as error:
            raise ConfigError(f"output={kind!r} is no type for an answer: {error}") from error

    def made_of(self, data: object) -> object:
        """Data as this type. Raises msgspec.ValidationError."""
        return msgspec.convert(data, self._kind, strict=False)


class _SchemaType:
    """Whatever fits a JSON schema."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        self._schema = JsonSchema(schema)
        self.shown = self._schema.shown

    def made_of(self, data: object) -> object:
        """Data as JSON has it: tuples are lists, dates are texts. Raises Misfit."""
        try:
            plain = json.loads(json.dumps(msgspec.to_builtins(data, str_keys=True)))
        except (TypeError, ValueError) as error:
            raise Misfit(f"$ is no JSON: {error}") from error
        self._schema.require(plain)
        return plain


def _parsed(text: str) -> object:
    """Data in a text: JSON, wherever it stands, or a Python literal; None where there is none."""
    parsed = parse_jsonish(text)
    if not is_unparsed(parsed):
        return parsed
    if len(text) > LONGEST_LITERAL:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, SystemError):
        return None


class _Writer:
    """Writes a type in few words; classes are named, and spelled out once below."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def whole(self, info: inspect.Type) -> str:
        """The type, and on lines below it the classes that it names."""
        line = self._of(info)
        if len(self._classes) == 1 and line in self._classes:
            return self._classes[line]
        where = [f"{name} = {fields}" for name, fields in self._classes.items()]
        return line + "".join(f"\nwhere {each}" for each in where)

    def _of(self, info: inspect.Type) -> str:
        match info:
            case inspect.Metadata(type=inner):
                return self._of(inner)
            case inspect.UnionType(types=types):
                return " | ".join(map(self._of, types))
            case inspect.LiteralType(values=values):
                return " | ".join(map(repr, values))
            case inspect.EnumType(cls=cls):
                return " | ".join(repr(member.value) for member in cls)
            case inspect.TupleType(item_types=types):
                return f"[{', '.join(map(self._of, types))}]"
            case inspect.DictType(key_type=key, value_type=value):
                return f"dict[{self._of(key)}, {self._of(value)}]"
            case inspect.CollectionType(item_type=item):
                return f"list[{self._of(item)}]{_bounds(info, _SIZES, ' items')}"
            case (
                inspect.StructType()
                | inspect.DataclassType()
                | inspect.TypedDictType()
                | inspect.NamedTupleType()
            ):
                return self._class(info)
        name = _ATOMS.get(type(info).__name__)
        if name is None:
            raise TypeError(f"plain data cannot become {getattr(info, 'cls', info)}")
        lengths = _bounds(info, _SIZES, " characters")
        pattern = getattr(info, "pattern", None)
        matching = "" if pattern is None else f" matching {pattern}"
        return name + _bounds(info, _BOUNDS, "") + lengths + matching

    def _class(
        self,
        info: inspect.StructType
        | inspect.DataclassType
        | inspect.TypedDictType
        | inspect.NamedTupleType,
    ) -> str:
        name = info.cls.__name__
        if name in self._classes:
            return name
        self._classes[name] = "..."  # a class may hold itself
        fields = [
            f"{field.encode_name}{'' if field.required else '?'}: {self._of(field.type)}"
            for field in info.fields
        ]
        tag = getattr(info, "tag", None)
        if tag is not None:
            fields.insert(0, f"{getattr(info, 'tag_field', 'type')}: {tag!r}")
        self._classes[name] = "{" + ", ".join(fields) + "}"
        if isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False):
            self._classes[name] = f"[{', '.join(fields)}]"
        return name


def _bounds(info: object, names: tuple[tuple[str, str], ...], unit: str) -> str:
    """Constraints, such as " (>= 0, < 10)"."""
    found = [
        f"{sign} {getattr(info, name)}{unit}"
        for name, sign in names
        if getattr(info, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""
