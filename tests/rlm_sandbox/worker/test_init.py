"""The init of a worker: what it reports and what it takes with it. Seen from the controller."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time

import psutil
import pytest

from rlm_sandbox import Limits, Outcome, Sandbox
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.protocol import Spawn, WorkerLimits
from rlm_sandbox.worker import init as init_module
from rlm_sandbox.worker.gate import Gate
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
        link = box._keeper.life.link
        assert link is not None
        session = psutil.Process(link.process.pid)
        init = session.parent()
        assert init is not None
    assert outliving([session, init], PATIENCE) == []


def test_the_session_ends_when_its_init_is_killed(box: Sandbox) -> None:
    link = box._keeper.life.link
    assert link is not None
    session = psutil.Process(link.process.pid)
    init = session.parent()
    assert init is not None
    init.kill()
    assert outliving([session], PATIENCE) == []
    assert box.exec("1").outcome is not Outcome.OK
    assert box.exec("print('new')").stdout == "new\n"


RUNS_AWAY = """
import gc, os, time
from rlm_sandbox import protocol
from rlm_sandbox.framing import frame
from rlm_sandbox.worker import channel
(own,) = [thing for thing in gc.get_objects() if type(thing) is channel.Channel]
own.socket.sendall(frame(protocol.encode(protocol.Done(2, "ok", None, "", False))))
child = None
while child is None:
    try: child = os.fork()
    except OSError: pass
if child:
    time.sleep(1)
    os._exit(0)
while True: pass
"""


def begin_numbers_at(box: Sandbox, number: int) -> None:
    """As if the code had made that many threads: the next process id of its namespace."""
    link = box._keeper.life.link
    assert link is not None
    set_last = f"echo {number} > /proc/sys/kernel/ns_last_pid"
    target = str(link.process.pid)
    subprocess.run(["nsenter", "-t", target, "-p", "sh", "-c", set_last], check=True)


@pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("nsenter") is None
    or not os.path.exists("/proc/sys/kernel/ns_last_pid"),  # noqa: PTH110
    reason="process ids can be set by root only, with CONFIG_CHECKPOINT_RESTORE",
)
def test_a_fork_that_runs_away_is_found_though_process_ids_have_begun_anew() -> None:
    with Sandbox(imports="all") as box:
        if not {"gate", "pid"} <= set(box.layers):
            pytest.skip("there is no gate, or no pid namespace")
        box.exec("x = 1")
        link = box._keeper.life.link
        assert link is not None
        link.settle()
        session = psutil.Process(link.process.pid)
        others = session.children()
        begin_numbers_at(box, 30_000)
        box.exec(RUNS_AWAY)
        deadline = time.monotonic() + PATIENCE
        while not (away := [one for one in session.children() if one not in others]):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        begin_numbers_at(box, 400)
        assert box.exec("x").outcome is not Outcome.OK
        assert outliving(away, PATIENCE) == []


class BesiegedGate(Gate):
    """One that is asked without end, while a fork that it has permitted does not lie down."""

    seconds_left = 0.0
    orphaned = False
    asked = 0

    def __init__(self, listener: int) -> None:
        self.listener = listener

    def answer(self) -> None:
        self.asked += 1


def test_questions_without_end_do_not_put_off_the_end_of_a_fork_that_runs_on() -> None:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    os.write(writing, b"?")
    gate = BesiegedGate(reading)
    spawn = Spawn(WorkerLimits.of(Limits()), (), ())
    init = init_module._Init(Wall(frozenset()), spawn, theirs)
    init._gate = gate
    attending = threading.Thread(target=init.attend, daemon=True)
    attending.start()
    attending.join(PATIENCE)
    ended = not attending.is_alive()
    control.close()
    attending.join(PATIENCE)
    for descriptor in (reading, writing):
        os.close(descriptor)
    theirs.close()
    assert ended
    assert gate.asked >= init_module.LATE_ANSWERS
