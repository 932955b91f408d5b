from __future__ import annotations

from typing import Any

import pytest

from rlm_core.context import Context
from tests.rlm_core.guest_double import HostDouble, guest_session

TEXT = "The key term is: oolong. And the code: A-17; end."


@pytest.fixture
def host() -> HostDouble:
    return HostDouble()


@pytest.fixture
def guest(host: HostDouble) -> dict[str, Any]:
    return guest_session(Context.from_text(TEXT), host)


def run(guest: dict[str, Any], code: str) -> Any:
    """The value of the variable `out` after code ran in the session."""
    exec(code, guest)
    return guest.get("out")


def test_the_text_is_seen_from_both_ends(guest: dict[str, Any]) -> None:
    assert run(guest, "out = (peek(3), tail(4), lenP())") == ("The", "end.", len(TEXT))
    assert run(guest, "out = (tail(0), peek(-1))") == ("", "")


def test_the_context_is_the_same_class_as_on_the_host(guest: dict[str, Any]) -> None:
    assert run(guest, "out = ctx.find('key')") == [(4, 7, "key")]
    assert run(guest, "out = ctx.metadata()") == Context.from_text(TEXT).metadata()
    assert run(guest, "out = Context.from_text('abc').chunk(2)") == [(0, 2, "ab"), (2, 3, "c")]


def test_documents_are_there_with_their_paths(host: HostDouble) -> None:
    documents = Context.from_documents(["one", "two"])
    context = Context(documents.text, documents.documents, "document_list", ("a", "b"))
    guest = guest_session(context, host)
    assert run(guest, "out = (ctx.num_documents(), ctx.get_document(1), ctx.document_path(1))") == (
        2,
        "two",
        "b",
    )
    assert run(guest, "out = ctx.documents") == ("one", "two")


def test_llm_query_sends_the_text_of_whatever_it_is_given(
    guest: dict[str, Any], host: HostDouble
) -> None:
    assert run(guest, "out = llm_query('a', max_tokens=5, depth=2)") == "A"
    run(guest, "llm_query(Context.from_text('ctx')); llm_query(['x', 'y']); subcall('s')")
    assert host.asked == ["a", "ctx", "x\ny", "s"]
    assert host.options[0] == {"model": None, "max_tokens": 5, "depth": 2}


def test_llm_batch_keeps_order_and_asks_each_prompt_once(
    guest: dict[str, Any], host: HostDouble
) -> None:
    assert run(guest, "out = llm_batch(['b', 'a', 'b'])") == ["B", "A", "B"]
    assert (host.asked, host.batches) == (["b", "a"], 1)
    assert run(guest, "out = llm_batch([])") == []
    assert host.batches == 1


def test_a_batch_that_is_too_large_to_cross_at_once_goes_in_portions(
    guest: dict[str, Any], host: HostDouble
) -> None:
    code = "prompts = [f'{n}' + 'x' * 900_000 for n in range(5)]\nout = llm_batch(prompts)"
    assert run(guest, code) == [f"{number}" + "X" * 900_000 for number in range(5)]
    assert host.batches == 3


def test_llm_batch_answers_for_what_is_no_prompt_and_keeps_the_rest(guest: dict[str, Any]) -> None:
    assert run(guest, "out = llm_batch(['a', None, ['x']])") == [
        "A",
        "[ERROR] llm_batch expects a list of prompt strings.",
        "[ERROR] llm_batch expects a list of prompt strings.",
    ]
    with pytest.raises(ValueError, match="list of prompt strings"):
        run(guest, "llm_batch('text')")
    with pytest.raises(ValueError, match="on_error"):
        run(guest, "llm_batch(['a'], on_error='ignore')")


def test_one_failed_prompt_does_not_lose_the_batch() -> None:
    def answer(prompt: str) -> str:
        if prompt == "bad":
            raise RuntimeError("no luck")
        return prompt.upper()

    guest = guest_session(Context.from_text(TEXT), HostDouble(answer))
    assert run(guest, "out = llm_batch(['a', 'bad'])") == ["A", "[ERROR] RuntimeError: no luck"]
    code = "out = [(e.kind, e.message) for e in out if isinstance(e, PromptError)]"
    assert run(guest, code) == [("RuntimeError", "no luck")]


def test_pieces_of_every_kind_are_asked_about(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "ask_chunks('Q?', ctx.chunk(30))")
    assert host.asked[0] == f"Question: Q?\nSnippet:\n{TEXT[:30]}"
    host.asked.clear()
    run(guest, "llm_query_batch('Q?', ['a', 'b'])")
    run(guest, "llm_query_batch(['c'], 'Q?')")
    run(guest, "ask_chunked('Q?', 'abcd', chunk_size=2)")
    run(guest, "ask_chunks('Q?', ctx, chunk_size=40)")
    assert [prompt.split("Snippet:\n")[1] for prompt in host.asked] == [
        "a", "b", "c", "ab", "cd", TEXT[:40], TEXT[40:],
    ]  # fmt: skip


def test_batches_run_one_by_one_unless_asked(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "llm_query_batch(['a', 'b', 'a'])")
    assert (host.batches, host.asked) == (0, ["a", "b"])
    run(guest, "llm_query_batch(['a', 'b'], parallel=True)")
    assert host.batches == 1
    parallel = guest_session(Context.from_text(TEXT), host, parallel=True)
    run(parallel, "llm_query_batch(['a', 'b'])")
    assert host.batches == 2


@pytest.mark.parametrize(
    ("answer", "short"),
    [
        ("Paris", "Paris"),
        ("answer: Paris", "Paris"),
        ("I see. The key term is: 'oolong'.", "oolong"),
        ("NO_ANSWER", None),
        ("```x```", None),
        ("<think>x", None),
        ("two\nlines", None),
        ("x" * 81, None),
        ("", None),
        ("[SUBCALL_LIMIT] max_subcalls exceeded.", None),
    ],
)
def test_only_short_clear_answers_are_picked(
    guest: dict[str, Any], answer: str, short: str | None
) -> None:
    guest["given"] = [answer]
    assert run(guest, "out = pick_first_answer(given)") == short


def test_asking_ends_at_the_first_clear_answer() -> None:
    host = HostDouble(lambda prompt: "yes" if prompt.endswith("b") else "NO_ANSWER")
    guest = guest_session(Context.from_text(TEXT), host)
    assert run(guest, "out = ask_chunks_first('Q?', ['a', 'b', 'c'])") == "yes"
    assert len(host.asked) == 2
    assert run(guest, "out = ask_chunks_first('Q?', ['a'])") is None


def test_the_word_after_a_marker_is_extracted(guest: dict[str, Any]) -> None:
    assert run(guest, "out = extract_after('term is:')") == "oolong"
    assert run(guest, "out = extract_after('code:')") == "A-17"
    assert run(guest, "out = extract_after('nowhere')") is None


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


def test_code_can_give_the_answer(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "x = 41\nFINAL(x + 1)\nFINAL_VAR('x')\nFINAL_VAR(x)\nFINAL_VAR('no_such')")
    assert host.submitted == [42, 41, 41, "no_such"]


def test_submit_takes_a_value_or_named_fields(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "SUBMIT('a'); SUBMIT(answer='b'); SUBMIT(city='Paris', n=2); SUBMIT()")
    assert host.submitted == ["a", "b", '{"city": "Paris", "n": 2}', {}]


def test_show_vars_lists_what_the_code_made_and_nothing_else(guest: dict[str, Any]) -> None:
    shown = run(guest, "import re\nrows = [1, 2]\nname = 'Ada'\n_private = 1\nout = SHOW_VARS()")
    assert shown == "rows = list[len=2]\nname = str[len=3]"


def test_the_budget_is_told(guest: dict[str, Any]) -> None:
    assert run(guest, "out = budget()") == {"steps": 3, "tokens": None}


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
