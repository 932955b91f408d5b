from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_core.context import Context
from rlm_core.session import Session, changes
from rlm_core.stimuli import Value
from rlm_sandbox import Limits, Sandbox, State
from tests.rlm_core.guest_double import HostDouble

DOCUMENTS = Context.from_documents(["first one", "second"])


def opened(context: Context, *, limits: Limits | None = None) -> Session:
    host = HostDouble()
    functions = {name: getattr(host, name) for name in dir(host) if name.startswith("rlm_")}
    return Session(Sandbox(functions=functions, limits=limits), context, parallel=False)


@pytest.fixture
def session() -> Iterator[Session]:
    session = opened(DOCUMENTS)
    yield session
    session.close()


def test_the_context_and_its_documents_are_in_the_session(session: Session) -> None:
    report = session.run(
        "print(len(P), ctx.num_documents(), ctx.get_document(1), type(P).__name__)"
    )
    assert report.result.stdout == f"{len(DOCUMENTS.text)} 2 second str\n"


def test_documents_that_are_no_parts_of_the_text_are_there_all_the_same() -> None:
    session = opened(Context("summary", ("full one", "full two"), "document_list"))
    try:
        assert session.run("print(P, ctx.get_document(1))").result.stdout == "summary full two\n"
    finally:
        session.close()


def test_what_a_cell_changed_is_reported(session: Session) -> None:
    assert "new: x = int" in session.run("x = 1").changes
    assert session.run("y = x").changes.splitlines()[1:] == ["- new: y = int(1)"]
    assert "updated: x" in session.run("x = 2").changes
    assert "removed: x" in session.run("del x").changes
    assert session.run("import math").changes == ""


def test_what_printing_cells_changed_is_reported_with_the_next_silent_one(session: Session) -> None:
    assert session.run("a = 1\nprint(a)").changes == ""
    assert session.run("b = a").changes.splitlines()[1:] == [
        "- new: a = int(1)",
        "- new: b = int(1)",
    ]
    session.run("\n".join(f"c{number} = 0" for number in range(20)) + "\nprint()")
    assert session.run("z = 5").changes.splitlines()[1] == "- new: z = int(5)"


def test_helpers_and_context_come_back_after_a_cell_that_overwrote_them(session: Session) -> None:
    session.run("P = 'gone'; llm_query = None; ctx = 5")
    assert session.run("print(P[:5], llm_query('a'), ctx.num_documents())").result.stdout == (
        "first A 2\n"
    )


def test_values_are_read_as_text_and_missing_ones_are_left_out(session: Session) -> None:
    session.run("a = 'text'; b = [1, 2]; c = None\nclass Thing:\n    __str__ = lambda s: 'thing!'")
    session.run("d = Thing()")
    assert session.read(["a", "b", "c", "d", "nowhere"]) == {
        "a": Value("text"),
        "b": Value("[1, 2]", "other", [1, 2]),
        "c": Value("None", "none"),
        "d": Value("thing!", "other"),
    }


def test_reading_a_value_whose_text_fails_reads_nothing(session: Session) -> None:
    session.run("class Bad:\n    def __str__(self): raise ValueError('no')\nbad = Bad()")
    assert session.read(["bad"]) == {}


def test_a_text_that_is_too_long_to_cross_at_once_is_read_in_pieces() -> None:
    session = opened(DOCUMENTS, limits=Limits(value_bytes="5MiB"))
    try:
        session.run("long = 'abcdefg' * 1_000_000")
        value = session.read(["long"])["long"]
        assert value == Value("abcdefg" * 1_000_000)
        left = session.run("print([n for n in globals() if n.startswith('_rlm_')])")
        assert left.result.stdout == "[]\n"
    finally:
        session.close()


@pytest.mark.parametrize(
    "code",
    [
        "[(n, str(n)) for n in range(20_000)]",
        "{n: [n] for n in range(20_000)}",
        "set(range(40_000))",
        "tuple(range(40_000))",
    ],
)
def test_a_collection_that_is_too_large_to_cross_at_once_is_read_in_parts(code: str) -> None:
    session = opened(DOCUMENTS, limits=Limits(value_bytes="64KiB"))
    try:
        session.run(f"large = {code}")
        value = session.read(["large"])["large"]
        assert value.data == eval(code)
        assert value.text == str(eval(code))
        left = session.run("print([n for n in globals() if n.startswith('_rlm_')])")
        assert left.result.stdout == "[]\n"
    finally:
        session.close()


def test_what_is_too_large_even_in_parts_and_as_text_is_no_value() -> None:
    session = opened(DOCUMENTS, limits=Limits(value_bytes="1KiB"))
    try:
        session.run("large = list(range(100_000))")
        assert session.read(["large"]) == {}
    finally:
        session.close()


LYING = """
class Evil:
    def __getitem__(self, part):
        return self if part.start is None else "x" * 1_000
def len(x): return 10**15
def isinstance(*a): return True
def str(x, *a): return Evil()
lie = object()
"""


def test_no_more_of_a_text_is_read_than_may_be_whatever_the_session_says_of_it(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_core.session.LONGEST_TEXT", 1_000)
    monkeypatch.setattr("rlm_core.session.PIECE_CHARS", 100)
    session.run(LYING)
    value = session.read(["lie"])["lie"]
    assert value.text == "x" * 1_000  # ten pieces, each cut


def test_a_cleared_variable_is_none(session: Session) -> None:
    session.run("x = 1")
    session.clear("x")
    assert session.read(["x"]) == {"x": Value("None", "none")}


def test_the_answer_dict_submits_once_it_is_ready(session: Session) -> None:
    assert session.run("answer = {'content': 'draft', 'ready': False}").submitted is None
    assert session.run("answer['content'] = 42; answer['ready'] = True").submitted == Value(
        "42", "other", 42
    )
    assert session.run("answer = {'other': 'dict'}").submitted is None


def test_the_answer_dict_is_seen_whatever_else_the_cells_print(session: Session) -> None:
    session.run("answer = {'content': 1}\ndef done(): answer['ready'] = True\nprint('begun')")
    assert session.run("done()\nprint('done')").submitted == Value("1", "other", 1)


def test_the_last_error_is_there_for_the_code_to_see(session: Session) -> None:
    session.run("1 / 0")
    assert "ZeroDivisionError" in session.run("print(_stderr)").result.stdout


def test_a_lost_worker_comes_back_with_context_and_helpers() -> None:
    session = opened(DOCUMENTS)
    try:
        session.run("x = 1")
        lost = session.run("import time\ntime.sleep(0)\nimport sys\nsys.exit(3)")
        report = session.run("print(P[:5], lenP())")
        assert report.result.stdout == f"first {len(DOCUMENTS.text)}\n"
        if lost.result.state is State.LOST:
            assert session.read(["x"]) == {}
    finally:
        session.close()


def test_many_changes_are_counted_and_long_ones_cut() -> None:
    after = {f"v{number}": "x" * 500 for number in range(20)}
    lines = changes({}, after).splitlines()
    assert lines[0] == "REPL state changes:"
    assert lines[-1] == "- and 8 more"
    assert max(map(len, lines)) < 300
    assert changes(after, after) == ""
