"""One worker as the controller sees it: what it may say when, and what that means."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Answer, Attend, Call, Done, FromWorker, Output, Ready, Refusal
from rlm_sandbox.session import (
    ALLOWED,
    REFUSALS_TOLERATED,
    Called,
    CallRefused,
    Clock,
    Ended,
    Phase,
    ProtocolViolation,
    Replied,
    Session,
)

LIMITS = Limits(host_calls=3, concurrent_calls=2, call_bytes=100, output_chars=10)
DONE = Done(1, "ok", None, "", truncated=False)
EXAMPLES: dict[type, FromWorker] = {
    Ready: Ready(),
    Call: Call(1, 0, b"", alone=True),
    Output: Output("x"),
    Done: DONE,
    Attend: Attend(1),
    Answer: Answer(1, b""),
    Refusal: Refusal(1, "missing", ""),
}


def idle() -> Session:
    session = Session(LIMITS, functions=2)
    session.receive(Ready(), 0.0)
    return session


def running() -> Session:
    session = idle()
    session.begin_step(0.0)
    return session


def asked() -> Session:
    session = idle()
    session.begin_request()
    return session


SESSIONS = {
    Phase.STARTING: lambda: Session(LIMITS, functions=2),
    Phase.IDLE: idle,
    Phase.RUNNING: running,
    Phase.ASKED: asked,
}


def call(number: int, *, size: int = 0, function: int = 0) -> Call:
    return Call(number, function, b"x" * size, alone=False)


def test_the_table_covers_every_phase_and_every_message() -> None:
    assert set(ALLOWED) == set(Phase) == set(SESSIONS)
    assert set(EXAMPLES) == set(get_args(FromWorker))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_a_message_is_taken_in_its_phases_and_a_violation_in_all_others(
    phase: Phase, kind: type
) -> None:
    session = SESSIONS[phase]()
    if kind in ALLOWED[phase]:
        session.receive(EXAMPLES[kind], 0.0)
    else:
        with pytest.raises(ProtocolViolation, match=f"{kind.__name__} while"):
            session.receive(EXAMPLES[kind], 0.0)


def test_a_step_gathers_its_output_and_ends_idle() -> None:
    session = running()
    assert session.receive(Output("abc"), 0.1) is None
    done = Done(1, "ok", None, "def", truncated=False)
    assert session.receive(done, 0.2) == Ended(done)
    assert "".join(session.step.output) == "abcdef"
    assert not session.step.truncated
    assert session.phase is Phase.IDLE


def test_output_beyond_the_limit_is_cut_even_if_the_worker_does_not_cut() -> None:
    session = running()
    for text in ("12345678", "90abc", "def"):
        session.receive(Output(text), 0.0)
    assert "".join(session.step.output) == "1234567890"
    assert session.step.truncated


def test_the_end_of_another_step_is_a_violation() -> None:
    session = running()
    with pytest.raises(ProtocolViolation, match="end of step 7 in step 1"):
        session.receive(Done(7, "ok", None, "", truncated=False), 0.0)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_an_answer_to_another_request_is_a_violation(number: int) -> None:
    with pytest.raises(ProtocolViolation, match=f"answer to request {number}"):
        asked().receive(Answer(number, b""), 0.0)


def test_an_attend_leaves_the_request_open() -> None:
    session = asked()
    assert session.receive(Attend(1), 0.0) == Replied(Attend(1))
    assert session.phase is Phase.ASKED
    session.receive(Answer(1, b""), 0.0)
    assert session.phase is Phase.IDLE


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_call_is_numbered_in_turn(number: int) -> None:
    with pytest.raises(ProtocolViolation, match="out of turn"):
        running().receive(call(number), 0.0)


@pytest.mark.parametrize("function", [-1, 2, 10**9])
def test_a_call_of_a_function_that_is_not_there_is_a_violation(function: int) -> None:
    with pytest.raises(ProtocolViolation, match="not there"):
        running().receive(call(1, function=function), 0.0)


def test_more_calls_at_once_than_allowed_are_a_violation() -> None:
    session = running()
    session.receive(call(1), 0.0)
    session.receive(call(2), 0.0)
    with pytest.raises(ProtocolViolation, match="more than 2 calls at once"):
        session.receive(call(3), 0.0)


def serve(session: Session, number: int, now: float = 0.0) -> bool:
    session.served(session.step, number, now)
    return session.replying(session.step, number)


def test_calls_beyond_the_count_are_refused_and_a_flood_of_them_is_a_violation() -> None:
    session = running()
    for number in (1, 2, 3):
        assert isinstance(session.receive(call(number), 0.0), Called)
        assert serve(session, number)
    for number in range(4, 4 + REFUSALS_TOLERATED):
        event = session.receive(call(number), 0.0)
        assert isinstance(event, CallRefused)
    assert "at most 3 calls" in event.message
    assert session.step.calls == 3
    with pytest.raises(ProtocolViolation, match="flood"):
        session.receive(call(4 + REFUSALS_TOLERATED), 0.0)


def test_calls_beyond_the_bytes_of_a_step_are_refused() -> None:
    session = running()
    assert isinstance(session.receive(call(1, size=60), 0.0), Called)
    assert isinstance(session.receive(call(2, size=60), 0.0), CallRefused)


def test_a_new_step_has_its_whole_allowance_again() -> None:
    session = running()
    for number in (1, 2, 3):
        session.receive(call(number, size=30), 0.0)
        serve(session, number)
    session.receive(DONE, 0.0)
    session.begin_step(0.0)
    assert isinstance(session.receive(call(1, size=60), 0.0), Called)


def test_no_reply_is_sent_twice_nor_after_its_step() -> None:
    session = running()
    session.receive(call(1), 0.0)
    session.receive(call(2), 0.0)
    step = session.step
    assert serve(session, 1)
    assert not serve(session, 1)
    session.receive(DONE, 0.0)
    assert not session.replying(step, 2)
    session.begin_step(0.0)
    session.receive(call(1), 0.0)
    assert not session.replying(step, 1)
    assert session.replying(session.step, 1)


def test_the_clock_stands_while_any_host_function_runs() -> None:
    session = running()
    session.receive(call(1), 1.0)
    session.receive(call(2), 2.0)
    session.served(session.step, 1, 3.0)
    assert session.step.clock.own(10.0) == 1.0
    session.served(session.step, 2, 11.0)
    assert session.step.clock.own(13.0) == 3.0


def test_a_reply_that_the_worker_does_not_read_is_on_its_clock() -> None:
    session = running()
    session.receive(call(1), 1.0)
    session.served(session.step, 1, 2.0)  # its reply has not left: the worker reads nothing
    assert session.step.clock.own(9.0) == 8.0


def test_a_function_that_outlives_its_step_does_not_stop_the_next_steps_clock() -> None:
    session = running()
    session.receive(call(1), 1.0)
    old = session.step
    session.receive(DONE, 2.0)
    session.begin_step(10.0)
    session.served(old, 1, 11.0)
    assert session.step.clock.own(15.0) == 5.0


@given(st.lists(st.tuples(st.sampled_from(["pause", "resume"]), st.floats(0, 10)), max_size=30))
def test_the_workers_own_time_never_runs_backwards_nor_faster_than_time(
    events: list[tuple[str, float]],
) -> None:
    clock, now, before = Clock(0.0), 0.0, 0.0
    for name, passed in events:
        now += passed
        own = clock.own(now)
        assert before - 1e-9 <= own <= now + 1e-9
        before = own
        getattr(clock, name)(now)
    assert clock.own(now) == pytest.approx(before)


def messages() -> st.SearchStrategy[FromWorker]:
    number = st.integers(-1, 4)
    return st.one_of(
        st.just(Ready()),
        st.builds(Call, number, number, st.binary(max_size=60), st.booleans()),
        st.builds(Output, st.text(max_size=8)),
        st.builds(
            Done,
            number,
            st.sampled_from(["ok", "error", "interrupted"]),
            st.none(),
            st.text(max_size=8),
            st.booleans(),
        ),
        st.builds(Attend, number),
        st.builds(Answer, number, st.binary(max_size=3)),
        st.builds(Refusal, number, st.just("failed"), st.text(max_size=3)),
    )


@given(st.sampled_from(Phase), st.lists(messages(), max_size=12))
def test_no_sequence_of_messages_gets_more_than_the_limits_allow(
    phase: Phase, sequence: list[FromWorker]
) -> None:
    session = SESSIONS[phase]()
    try:
        for message in sequence:
            session.receive(message, 0.0)
            assert session.step.calls <= LIMITS.host_calls
            assert len(session.step.pending) <= LIMITS.concurrent_calls
            assert sum(map(len, session.step.output)) <= LIMITS.output_chars
    except ProtocolViolation:
        return
