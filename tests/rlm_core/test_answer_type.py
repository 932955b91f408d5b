from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest

from rlm_core.answer_type import AnswerType
from rlm_core.context import Context
from rlm_core.errors import AnswerMistyped, ConfigError
from rlm_core.policy import Policy
from rlm_core.rlm import RLM
from rlm_core.stimuli import RunStatus, Value, value_of
from rlm_core.typed import Mistyped, Typed
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("Ann is 31 and Bob is 29.")


class Row(msgspec.Struct):
    name: str
    age: int
    tags: list[str] = []


class Plain(TypedDict):
    name: str


@dataclass
class Point:
    x: float
    near: list[Point] = field(default_factory=list)


class Pair(NamedTuple):
    first: int
    second: int


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (int, "int"),
        (list[Row], "list[Row]\nwhere Row = {name: str, age: int, tags?: list[str]}"),
        (Row, "{name: str, age: int, tags?: list[str]}"),
        (Plain, "{name: str}"),
        (Point, "{x: float, near?: list[Point]}"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (list[Pair], "list[Pair]\nwhere Pair = [first: int, second: int]"),
        (tuple[str, int], "[str, int]"),
        (int | None, "int | null"),
        (Literal["yes", "no"], "'no' | 'yes'"),
        (Colour, "'red' | 'blue'"),
        (Annotated[int, msgspec.Meta(ge=0, lt=10)], "int (>= 0, < 10)"),
        (Annotated[list[str], msgspec.Meta(max_length=3)], "list[str] (at most 3 items)"),
        (date, "date (ISO 8601)"),
    ],
)
def test_a_type_is_shown_in_few_words(kind: Any, shown: str) -> None:
    assert AnswerType(kind).shown == shown
    assert shown in AnswerType(kind).task()


@pytest.mark.parametrize(
    ("kind", "value", "typed"),
    [
        (int, Value(" 42 "), 42),
        (float, Value("3"), 3.0),
        (bool, Value("true"), True),
        (str, Value("a text"), "a text"),
        (str, Value('{"a": 1}'), '{"a": 1}'),
        (int | None, Value("null"), None),
        (Colour, Value("red"), Colour.RED),
        (date, Value("2024-05-01"), date(2024, 5, 1)),
        (list[int], Value("```json\n[1, 2]\n```"), [1, 2]),
        (list[int], Value("The numbers: [1, 2]"), [1, 2]),
        (list[int], Value("(1, 2)"), [1, 2]),
        (dict[str, int], Value("{'a': 1}"), {"a": 1}),
        (Row, value_of({"name": "Ann", "age": "31"}), Row("Ann", 31)),
        (list[tuple[str, str]], value_of([("a", "b")]), [("a", "b")]),
        (set[int], value_of({1, 2}), {1, 2}),
        (Point, value_of({"x": 1, "near": [{"x": 2}]}), Point(1.0, [Point(2.0)])),
    ],
)
def test_data_and_texts_become_the_type(kind: Any, value: Value, typed: object) -> None:
    assert AnswerType(kind).read(value) == Typed(typed)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (list[Row], value_of([{"name": "a", "age": "x"}]), "got `str` - at `$[0].age`"),
        (Row, value_of({"name": "a"}), "missing required field `age`"),
        (int, Value("about forty"), "Expected `int`"),
        (list[int], Value("[1, 'x'"), "Expected `array`"),
        (Annotated[int, msgspec.Meta(ge=0)], Value("-1"), ">= 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(kind: Any, value: Value, told: str) -> None:
    read = AnswerType(kind).read(value)
    assert isinstance(read, Mistyped)
    assert told in read.error
    assert AnswerType(kind).shown in read.error


def test_a_text_of_brackets_without_end_is_no_answer_and_no_crash() -> None:
    assert isinstance(AnswerType(list[int]).read(Value("[" * 100_000)), Mistyped)


@pytest.mark.parametrize("kind", [Path, object(), list[Path]])
def test_a_type_that_data_cannot_become_is_refused_before_the_run(kind: Any) -> None:
    with pytest.raises(ConfigError, match="no type for an answer"):
        AnswerType(kind)


# --- whole runs -----------------------------------------------------------------------------------


def rlm(tmp_path: Path, *script: str, **options: Any) -> tuple[RLM, Scripted]:
    model = Scripted(*script)
    return RLM(model, cache_dir=tmp_path, **options), model


def test_the_model_is_told_what_is_wrong_and_the_caller_gets_the_object(tmp_path: Path) -> None:
    asked, model = rlm(
        tmp_path,
        "rows = [{'name': 'Ann', 'age': 'thirty-one'}]\nFINAL_VAR: rows",
        "rows[0]['age'] = 31\nFINAL_VAR: rows",
    )
    result = asked.run_result("Who?", TEXT, output=list[Row])
    assert result.value == [Row("Ann", 31)]
    assert result.answer == "[{'name': 'Ann', 'age': 31}]"
    assert "where Row = {name: str, age: int" in model.calls[0][0]["content"]
    assert "at `$[0].age`" in model.calls[1][-1]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        "FINAL: 31",
        "FINAL: {'age': 31}",
        "age = 31\nFINAL_VAR: age",
        "FINAL(31)\nx = 1",
        "SUBMIT(31)\nx = 1",
        "answer = {'content': 31, 'ready': True}",
    ],
)
def test_every_way_to_finish_gives_the_type(tmp_path: Path, reply: str) -> None:
    asked, _ = rlm(tmp_path, reply, "FINAL: 31")
    assert asked.run("How old?", TEXT, output=int)[0] == 31


def test_named_fields_and_dataclasses_submitted_in_code_become_the_type(tmp_path: Path) -> None:
    asked, _ = rlm(tmp_path, "SUBMIT(name='Ann', age=31)")
    assert asked.run("Who?", TEXT, output=Row)[0] == Row("Ann", 31)
    made = "from dataclasses import dataclass\n@dataclass\nclass R:\n    name: str\n    age: int\n"
    asked, _ = rlm(tmp_path, made + "FINAL(R('Ann', 31))\nx = 1")
    assert asked.run("Who?", TEXT, output=Row)[0] == Row("Ann", 31)


def test_a_run_that_ends_without_the_type_raises_and_its_result_says_so(tmp_path: Path) -> None:
    policy = Policy(max_steps=2)
    asked, _ = rlm(tmp_path, "FINAL: old", "FINAL: very old", "Quite old.", policy=policy)
    result = asked.run_result("How old?", TEXT, output=int)
    assert (result.status, result.value, result.answer) == (RunStatus.NO_ANSWER, None, "NO_ANSWER")
    asked, _ = rlm(tmp_path, "FINAL: old", "FINAL: very old", "Quite old.", policy=policy)
    with pytest.raises(AnswerMistyped, match="max_steps"):
        asked.run("How old?", TEXT, output=int)


def test_the_best_answer_at_a_limit_is_of_the_type_too(tmp_path: Path) -> None:
    asked, _ = rlm(tmp_path, "result = [1, 2]", "It is old.", policy=Policy(max_steps=1))
    result = asked.run_result("Which?", TEXT, output=list[int])
    assert (result.status, result.value) == (RunStatus.LIMITED, [1, 2])


def test_the_auto_variable_ends_the_run_only_with_the_type(tmp_path: Path) -> None:
    asked, model = rlm(tmp_path, "out = 'old'", "out = 31", auto_finalize_var="out")
    assert asked.run("How old?", TEXT, output=int)[0] == 31
    assert "Expected `int`" in model.calls[1][-1]["content"]


def test_recursive_subcalls_answer_in_text_as_before(tmp_path: Path) -> None:
    def answer(prompt: str) -> str:
        return (
            "FINAL: some words" if "P holds" in prompt else "n = len(llm_query('x'))\nFINAL_VAR: n"
        )

    from tests.rlm_core.models import Answering

    asked = RLM(Answering(answer), cache_dir=tmp_path, recursive_subcalls=True)
    assert asked.run("How long?", TEXT, output=int)[0] == len("some words")


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_a_json_schema_is_a_type_for_an_answer() -> None:
    answer = AnswerType(SCHEMA)
    assert "minimum" in answer.task()
    assert answer.read(value_of({"name": "Ann", "age": 31})) == Typed({"name": "Ann", "age": 31})
    assert answer.read(Value('{"name": "Bob", "age": 29}')) == Typed({"name": "Bob", "age": 29})
    wrong = answer.read(value_of({"name": "Ann", "age": -1}))
    assert isinstance(wrong, Mistyped)
    assert "$.age: expected at least 0, got -1" in wrong.error


def test_data_is_held_against_a_json_schema_as_json_has_it() -> None:
    assert AnswerType({"items": {"type": "string"}}).read(value_of((date(2024, 5, 1),))) == Typed(
        ["2024-05-01"]
    )
    wrong = AnswerType({"type": "number"}).read(value_of(float("nan")))
    assert isinstance(wrong, Mistyped)


def test_a_json_schema_that_cannot_be_checked_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match="pattern is not supported"):
        RLM(Scripted("FINAL: 1")).run("?", TEXT, output={"type": "string", "pattern": "(a+)+$"})


def test_a_run_puts_an_answer_right_that_does_not_fit_the_json_schema(tmp_path: Path) -> None:
    model = Scripted(
        "FINAL: " + '{"name": "Ann"}',
        "row = {'name': 'Ann', 'age': 31}\nFINAL_VAR: row",
    )
    row, _ = RLM(model, cache_dir=tmp_path).run("Who?", TEXT, output=SCHEMA)
    assert row == {"name": "Ann", "age": 31}
    assert "$.age is missing" in model.calls[1][-1]["content"]
