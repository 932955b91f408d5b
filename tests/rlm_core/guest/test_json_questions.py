from __future__ import annotations

from typing import Any

import pytest

from rlm_core.context import Context
from tests.rlm_core.guest_double import TEXT, HostDouble, guest_session, run


@pytest.mark.parametrize(
    ("answer", "parsed"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('result: {"a": 1}', {"a": 1}),
        ('Here you are: {"a": 1}. Bye', {"a": 1}),
        ("[1, 2]", [1, 2]),
        (
            "no json",
            {"_parse_error": "Could not parse JSON from subcall response.", "_raw": "no json"},
        ),
    ],
)
def test_json_is_found_in_answers(answer: str, parsed: object) -> None:
    guest = guest_session(Context.from_text(TEXT), HostDouble(lambda _: answer))
    assert run(guest, "out = llm_query_json('extract', 'text')") == parsed


def test_records_are_found_in_the_usual_shapes() -> None:
    answers = {
        "list": '[{"n": 1}, 5]', "wrapped": '{"items": [{"n": 2}]}', "one": '{"n": 3}',
        "none": '"NO_ANSWER"', "bad": "words",
    }  # fmt: skip
    guest = guest_session(Context.from_text(TEXT), HostDouble(answers.__getitem__))
    assert run(guest, "out = llm_batch_records(['list', 'wrapped', 'one', 'none', 'bad'])") == [
        [{"n": 1}],
        [{"n": 2}],
        [{"n": 3}],
        [],
        [],
    ]
    assert run(guest, "out = llm_query_records('one')") == [{"n": 3}]


def test_json_of_a_form_is_asked_for_again_once(guest: dict[str, Any], host: HostDouble) -> None:
    host.answer = lambda prompt: '{"n": "3"}' if "Reply again" in prompt else '{"m": 1}'
    assert run(guest, "out = llm_query_json('How many?', schema={'n': int})") == {"n": 3}
    assert len(host.asked) == 2
    assert "of this form: {n: int}" in host.asked[0]
    assert run(guest, "out = llm_batch_json(['a', 'b'], schema={'n': 'int'})") == [{"n": 3}] * 2


def test_records_of_a_form_are_kept_and_others_left_out(
    guest: dict[str, Any], host: HostDouble
) -> None:
    host.answer = lambda _: '[{"n": 1}, {"n": "many"}]'
    assert run(guest, "out = llm_query_records('all', schema={'n': int})") == [{"n": 1}]
    assert run(guest, "out = llm_batch_records(['a'], schema={'n': int})") == [[{"n": 1}]]


def test_what_failed_is_no_value_whatever_the_form(guest: dict[str, Any], host: HostDouble) -> None:
    def fails(_: str) -> str:
        raise RuntimeError("down")

    host.answer = fails
    (failed,) = run(guest, "out = llm_batch_json(['a'], schema=str)")
    assert failed["_parse_error"] == "there is no reply"
    assert len(host.asked) == 1
