from __future__ import annotations

import pytest

from rlm_core.errors import ConfigError
from rlm_core.json_schema import KEYWORDS
from rlm_core.jsonish import Misfit
from rlm_core.schema_check import CHECKS, Checking, TooCostly, resolved

FITS = [
    ({"type": "string"}, "a"),
    ({"type": ["string", "null"]}, None),
    ({"type": "integer"}, 3.0),
    ({"type": "number"}, 3),
    ({"enum": ["a", 1]}, 1),
    ({"const": {"a": [1]}}, {"a": [1]}),
    ({"properties": {"a": {"type": "integer"}}}, {"a": 1, "b": "x"}),
    ({"properties": {"a": True}, "additionalProperties": {"type": "null"}}, {"a": 1, "b": None}),
    ({"minProperties": 1, "maxProperties": 2}, {"a": 1}),
    ({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, [1, 2]),
    ({"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, [1, "a", "b"]),
    ({"uniqueItems": True}, [1, "1", [1]]),
    ({"minLength": 2, "maxLength": 2}, "ab"),
    ({"minimum": 1, "maximum": 1}, 1),
    ({"minimum": 5}, "a text is not bound by it"),
    ({"exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5),
    ({"multipleOf": 0.1}, 0.3),
    ({"multipleOf": 7}, 7 * 10**40),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1),
    ({"oneOf": [{"minimum": 5}, {"type": "string"}]}, 6),
    ({"allOf": [{"minimum": 5}, {"maximum": 6}]}, 6),
    ({"not": {"type": "string"}}, 6),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 6),
]
MISFITS = [
    ({"type": "string"}, 1, r"\$: expected string, got 1"),
    ({"type": "integer"}, True, "expected integer, got true"),
    ({"type": "integer"}, 1.5, "expected integer"),
    ({"type": "number"}, float("nan"), "expected number"),
    ({"type": ["string", "null"]}, [], "expected string or null"),
    ({"enum": ["a", 1]}, True, r'one of \["a", 1\]'),
    ({"const": 1}, 2, "expected 1, got 2"),
    ({"properties": {"a": {"type": "integer"}}}, {"a": "x"}, r"\$\.a: expected integer"),
    ({"required": ["a"]}, {}, r"\$\.a is missing"),
    ({"properties": {}, "additionalProperties": False}, {"b": 1}, r"\$\.b was not asked for"),
    ({"additionalProperties": {"type": "null"}}, {"b": 1}, r"\$\.b: expected null"),
    ({"minProperties": 1}, {}, "fields: at least 1"),
    ({"maxProperties": 0}, {"a": 1}, "fields: at most 0"),
    ({"items": {"type": "integer"}}, [1, "a"], r"\$\[1\]: expected integer"),
    ({"prefixItems": [True, {"type": "string"}]}, [1, 2], r"\$\[1\]: expected string"),
    ({"minItems": 1}, [], "items: at least 1"),
    ({"maxItems": 1}, [1, 2], "items: at most 1"),
    ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], "all different"),
    ({"minLength": 2}, "a", "characters: at least 2"),
    ({"maxLength": 2}, "abc", "characters: at most 2"),
    ({"minimum": 2}, 1, "at least 2"),
    ({"maximum": 2}, 3, "at most 2"),
    ({"exclusiveMinimum": 2}, 2, "more than 2"),
    ({"exclusiveMaximum": 2}, 2, "less than 2"),
    ({"multipleOf": 2}, 3, "a multiple of 2"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "none of anyOf: .*string.*null"),
    ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "fits 2 of oneOf"),
    ({"allOf": [{"minimum": 5}]}, 3, "at least 5"),
    ({"not": {"type": "string"}}, "a", "what is not"),
    ({"items": False}, [1], r"\$\[0\]: nothing is expected here"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, "a", "expected integer"),
]


@pytest.mark.parametrize(("schema", "value"), FITS)
def test_what_fits_passes(schema: dict[str, object], value: object) -> None:
    Checking(schema).check(value, schema)


@pytest.mark.parametrize(("schema", "value", "told"), MISFITS)
def test_what_does_not_fit_is_told_with_its_place(
    schema: dict[str, object], value: object, told: str
) -> None:
    with pytest.raises(Misfit, match=told):
        Checking(schema).check(value, schema)


def test_every_keyword_that_is_understood_is_checked_and_tried_here() -> None:
    assert CHECKS.keys() == KEYWORDS.keys() - {"$defs", "definitions"}
    tried = {name for schema, _, _ in MISFITS for name in schema}
    assert CHECKS.keys() <= tried


def test_a_tree_that_holds_itself_is_followed_as_deep_as_the_value_goes() -> None:
    node = {"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    schema = node | {"required": ["next"], "type": "object"}
    Checking(schema).check({"next": {"next": {"next": None}}}, schema)
    with pytest.raises(Misfit, match=r"next\.next is missing"):
        Checking(schema).check({"next": {"next": {}}}, schema)


def test_a_short_schema_that_asks_for_a_thousand_billion_checks_ends() -> None:
    doubled = {
        f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(40)
    }
    schema = {"$ref": "#/$defs/a0", "$defs": doubled | {"a40": {"type": "string"}}}
    with pytest.raises(TooCostly, match="takes too long"):
        Checking(schema, left=1_000).check(1, schema)
    refused = schema | {"not": {"$ref": "#/$defs/a0"}}
    with pytest.raises(TooCostly):
        Checking(refused, left=1_000).check(1, refused)


def test_a_schema_that_means_itself_ends() -> None:
    schema = {"$ref": "#"}
    with pytest.raises(Misfit, match="takes too long"):
        Checking(schema).check(1, schema)


@pytest.mark.parametrize(
    ("reference", "found"),
    [("#", None), ("#/$defs/a~1b", 1), ("#/$defs/c%20d/0", 2)],
)
def test_references_are_followed_as_json_pointers(reference: str, found: object) -> None:
    root = {"$defs": {"a/b": 1, "c d": [2]}}
    assert resolved(root, reference) == (root if found is None else found)


@pytest.mark.parametrize("reference", ["http://elsewhere/x", "#/$defs/none", "#/$defs/l/9", 5])
def test_references_to_nowhere_or_elsewhere_are_refused(reference: object) -> None:
    with pytest.raises(ConfigError, match=r"\$ref"):
        resolved({"$defs": {"l": [1]}}, reference)
