"""Real workers told to break out: those behind the wall cannot, those without it do."""

from __future__ import annotations

from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.doctor.trial import Trial, start_seconds
from tests.rlm_sandbox import program


def test_behind_the_wall_everything_is_contained() -> None:
    with Stage() as stage:
        attempts = Trial(stage, "auto").run()
    assert [attempt.act for attempt in attempts if not attempt.contained] == []
    assert len(attempts) == 7


def test_without_a_wall_it_is_seen_that_nothing_is() -> None:
    out = program.run("""
        from rlm_sandbox.doctor.stage import Stage
        from rlm_sandbox.doctor.trial import Trial
        with Stage() as stage:
            for attempt in Trial(stage, "none").run():
                if not attempt.contained:
                    print(attempt.act)
    """)
    assert set(out.splitlines()) >= {
        *("read a file", "change a file", "connect to a listener"),
        *("signal a process", "run a program", "spy on a process"),
    }


def test_a_start_takes_time() -> None:
    assert start_seconds("auto") > 0
