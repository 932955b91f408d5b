from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.jsonish import (
    Asking,
    Misfit,
    fitted,
    form_of,
    is_unparsed,
    parse_jsonish,
    records_in,
    shown,
)

PERSON = {"name": "str", "age": "int?", "tags": ["str"]}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (str, "str"),
        ("integer", "int"),
        ("list[float]", "[float, ...]"),
        ("int | str", "int | str"),
        (["int"], "[int, ...]"),
        (("yes", "no"), '"yes" | "no"'),
        (PERSON, "{name: str, age?: int | null, tags: [str, ...]}"),
        ({"name?": str, "rest": dict}, "{name?: str, rest: {...}}"),
        ({"type": "string"}, "str"),
        ({"type": "str"}, "{type: str}"),
        ({"type": ["string", "null"]}, "str | null"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            "{a: int}",
        ),
        ({"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "number"}]}},
         "[null | float, ...]"),
        ("any", "any JSON"),
    ],
)  # fmt: skip
def test_a_form_is_given_in_full_or_in_short(given: object, text: str) -> None:
    assert shown(form_of(given)) == text


def test_what_is_no_form_is_refused() -> None:
    for wrong in ("strnig", 5, {"a": "unknown"}):
        with pytest.raises(ValueError, match="no type"):
            form_of(wrong)


@pytest.mark.parametrize(
    ("value", "form", "result"),
    [
        ("5", "int", 5),
        (5.0, "int", 5),
        ("1,234.5", "float", 1234.5),
        (5, "str", "5"),
        ("Yes", "bool", True),
        ("YES", ("yes", "no"), "yes"),
        (None, "int?", None),
        ("x", "int | str", "x"),
        ({"name": "a", "tags": [1], "more": 2}, PERSON, {"name": "a", "tags": ["1"], "more": 2}),
    ],
)
def test_what_models_nearly_write_is_brought_into_the_form(
    value: object, form: object, result: object
) -> None:
    assert fitted(value, form_of(form)) == result


@pytest.mark.parametrize(
    ("value", "form", "told"),
    [
        ("many", "int", '$: expected int, got "many"'),
        (5.5, "int", "$: expected int, got 5.5"),
        (float("inf"), "int", "$: expected int"),
        (True, "int", "$: expected int, got true"),
        (1, "bool", "$: expected bool, got 1"),
        ({"tags": []}, PERSON, "$.name is missing: expected str"),
        ({"name": "a", "tags": ["b", []]}, PERSON, "$.tags[1]: expected str, got []"),
        ("maybe", ("yes", "no"), '$: expected "yes" | "no", got "maybe"'),
        ([1], {"type": "array", "minItems": 2}, "$ has 1 items: expected 2 at least"),
        ({"b": 1}, {"type": "object", "properties": {}, "additionalProperties": False},
         "not asked for: b"),
        ([], PERSON, "$: expected {name: str"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(value: object, form: object, told: str) -> None:
    with pytest.raises(Misfit) as misfit:
        fitted(value, form_of(form))
    assert told in str(misfit.value)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
FORMS: Any = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "any", "int?", "list", "dict", "null"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=1)
        | st.dictionaries(st.sampled_from(["a", "b?", "c"]), inner, min_size=1)
    ),
    max_leaves=4,
)


@given(value=JSON, form=FORMS)
def test_every_value_fits_once_it_was_fitted_and_nothing_else_is_raised(
    value: object, form: object
) -> None:
    try:
        once = fitted(value, form_of(form))
    except Misfit:
        return
    assert repr(fitted(once, form_of(form))) == repr(once)


def test_json_is_found_in_what_is_said_around_it() -> None:
    assert parse_jsonish('Here: {"a": [1]} as asked.') == {"a": [1]}
    assert is_unparsed(parse_jsonish("nothing"))
    assert is_unparsed(parse_jsonish("[" * 100_000))
    assert records_in({"items": [{"a": 1}, 2]}) == [{"a": 1}]


class Saying:
    """Answers with these replies in turn, and keeps the prompts."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.prompts: list[str] = []

    def __call__(self, prompts: list[str]) -> list[str]:
        self.prompts += prompts
        return [self.replies.pop(0) for _ in prompts]


def asking(schema: object, *replies: str) -> tuple[Asking, Saying]:
    saying = Saying(*replies)
    return Asking(saying, schema, lambda text: not text.startswith("[ERROR]")), saying


def test_the_form_is_told_and_a_misfit_is_asked_about_once() -> None:
    asked, saying = asking(PERSON, '{"name": "a"}', '{"name": "a", "tags": []}')
    assert asked.values(["Who?"]) == [{"name": "a", "tags": []}]
    assert "of this form: {name: str, age?" in saying.prompts[0]
    assert "$.tags is missing" in saying.prompts[1]
    assert "Who?" in saying.prompts[1]


def test_only_those_that_did_not_fit_are_asked_again_and_what_failed_is_not() -> None:
    asked, saying = asking("int", "1", "two", "[ERROR] x", "three", "still two", "3")
    values = asked.values(["a", "b", "c", "d"])
    assert (values[0], values[3]) == (1, 3)
    assert is_unparsed(values[1])
    assert is_unparsed(values[2])
    assert [prompt[0] for prompt in saying.prompts] == ["a", "b", "c", "d", "b", "d"]


def test_records_that_are_not_of_the_form_are_left_out_in_the_end() -> None:
    bad = '[{"n": 1}, {"n": "x"}]'
    asked, saying = asking({"n": "int"}, bad, bad)
    assert asked.records(["all"]) == [[{"n": 1}]]
    assert len(saying.prompts) == 2


def test_without_a_form_nothing_is_added_and_nothing_asked_again() -> None:
    asked, saying = asking(None, "no json")
    assert is_unparsed(asked.values(["a"])[0])
    assert saying.prompts == ["a"]
