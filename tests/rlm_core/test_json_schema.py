from __future__ import annotations

import pytest

from rlm_core.errors import ConfigError
from rlm_core.json_schema import JsonSchema
from rlm_core.jsonish import Misfit

PYDANTIC = {
    "$defs": {
        "Vote": {
            "properties": {"who": {"title": "Who", "type": "string"}, "yes": {"type": "boolean"}},
            "required": ["who", "yes"],
            "title": "Vote",
            "type": "object",
            "additionalProperties": False,
        }
    },
    "properties": {
        "votes": {"items": {"$ref": "#/$defs/Vote"}, "title": "Votes", "type": "array"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["votes"],
    "title": "Decision",
    "type": "object",
}


def test_a_schema_as_a_well_known_library_writes_it_is_understood() -> None:
    schema = JsonSchema(PYDANTIC)
    schema.require({"votes": [{"who": "Ann", "yes": True}], "note": None})
    with pytest.raises(Misfit, match=r"\$\.votes\[0\]\.yes is missing"):
        schema.require({"votes": [{"who": "Ann"}]})


def test_the_model_is_shown_the_schema() -> None:
    assert '"title": "Decision"' in JsonSchema(PYDANTIC).shown


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "text"}, r"\$\.type: expected the name of a JSON type"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, r"\$\.properties\.a\.pattern: .* for ever"),
        ({"items": {"contains": {}}}, r"\$\.items\.contains: contains is not supported"),
        ({"anyOf": []}, "a list of schemas"),
        ({"anyOf": [1]}, r"\$\.anyOf\[0\]: a schema is an object"),
        ({"required": "a"}, "a list of names"),
        ({"minItems": -1}, "0 or more"),
        ({"multipleOf": 0}, "above 0"),
        ({"minimum": True}, "a number"),
        ({"$defs": {"a": {"type": 5}}}, r"\$defs\.a\.type"),
        ({"$ref": "http://elsewhere/schema"}, "only places in the same schema"),
        ({"enum": [b"x"]}, "no JSON"),
        ({"const": float("nan")}, "no JSON"),
        ({"description": "x" * 100_001}, "too long"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(
    schema: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        JsonSchema(schema)


def test_deep_nesting_is_refused_and_deep_values_are_a_misfit() -> None:
    deep: dict[str, object] = {}
    for _ in range(70):
        deep = {"items": deep}
    with pytest.raises(ConfigError, match="nested more than"):
        JsonSchema(deep)
    for _ in range(5_000):
        deep = {"items": deep}
    with pytest.raises(ConfigError):
        JsonSchema(deep)
    value: list[object] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(Misfit):
        JsonSchema({"items": {"$ref": "#"}}).require(value)
