"""The init of a worker: what it reports and what it takes with it. Seen from the controller."""

from __future__ import annotations

import psutil
import pytest

from rlm_sandbox import Outcome, Sandbox
from tests.processes import outliving
from tests.rlm_sandbox.promises.running import PATIENCE


@pytest.mark.parametrize(
    ("code", "outcome", "text"),
    [
        ("os._exit(0)", Outcome.EXITED, "code 0"),
        ("os._exit(3)", Outcome.EXITED, "code 3"),
        ("os.kill(os.getpid(), 9)", Outcome.CRASHED, "signal 9"),
        ("os.abort()", Outcome.CRASHED, "signal 6"),
    ],
)
def test_the_death_of_the_session_process_is_reported_as_it_was(
    free_box: Sandbox, code: str, outcome: Outcome, text: str
) -> None:
    result = free_box.exec(f"import os\n{code}")
    assert result.outcome is outcome
    assert text in str(result.error)


def test_the_session_process_is_a_child_of_its_init_and_both_end_with_the_sandbox() -> None:
    with Sandbox() as box:
        link = box._keeper._link
        assert link is not None
        session = psutil.Process(link.process.pid)
        init = session.parent()
        assert init is not None
    assert outliving([session, init], PATIENCE) == []


def test_the_session_ends_when_its_init_is_killed(box: Sandbox) -> None:
    link = box._keeper._link
    assert link is not None
    session = psutil.Process(link.process.pid)
    init = session.parent()
    assert init is not None
    init.kill()
    assert outliving([session], PATIENCE) == []
    assert box.exec("1").outcome is not Outcome.OK
    assert box.exec("print('new')").stdout == "new\n"
