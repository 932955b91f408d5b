"""A session is one thread's at a time, and nothing is left half done, whatever ends its step."""

from __future__ import annotations

import signal
import threading
from typing import NoReturn

import psutil
import pytest

from rlm_sandbox import (
    AnswerLost,
    Limits,
    Outcome,
    Sandbox,
    SessionLost,
)
from rlm_sandbox.host import link as link_module
from tests.processes import outliving
from tests.rlm_sandbox.host.links import link_of
from tests.rlm_sandbox.promises.running import PATIENCE, printed
from tests.waiting import until

DIES = "import os\nos._exit(1)"


def test_ctrl_c_in_a_step_restores_what_was_before_it() -> None:
    main = threading.main_thread().ident
    assert main is not None
    with Sandbox(functions={"now": lambda: signal.pthread_kill(main, signal.SIGINT)}) as box:
        if "gate" not in box.layers:
            pytest.skip("this kernel has no seccomp user notifications")
        box.exec("x = 1")
        with pytest.raises(KeyboardInterrupt):
            box.exec("x = 2\nnow()\nwhile True: pass")
        assert printed(box, "print(x)") == "1\n"


def test_a_loss_that_only_an_exception_told_of_is_told_once() -> None:
    main = threading.main_thread().ident
    assert main is not None
    now = {"now": lambda: signal.pthread_kill(main, signal.SIGINT)}
    with Sandbox(functions=now, limits=Limits(checkpoints=0)) as box:
        box.exec("x = 1")
        with pytest.raises(KeyboardInterrupt):
            box.exec("now()\nwhile True: pass")
        with pytest.raises(SessionLost, match="was interrupted at a moment that lost"):
            box.exec("print(x)")
        assert printed(box, "print('x' in globals())") == "False\n"


def test_ctrl_c_while_a_session_is_restored_leaves_no_process_and_a_usable_sandbox(
    free_box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "gate" not in free_box.layers:
        pytest.skip("this kernel has no seccomp user notifications")

    def interrupted(number: int) -> NoReturn:
        raise KeyboardInterrupt

    free_box.exec("x = 1")
    monkeypatch.setattr(link_of(free_box).worker, "wake", interrupted)
    with pytest.raises(KeyboardInterrupt):
        free_box.exec(DIES)
    with pytest.raises(SessionLost):
        free_box.exec("1")
    assert printed(free_box, "print('on')") == "on\n"


def test_a_process_that_closes_its_channel_has_broken_the_protocol(free_box: Sandbox) -> None:
    free_box.exec("x = 1")
    result = free_box.exec("import os, time\nos.closerange(3, 64)\ntime.sleep(1000)")
    assert result.outcome is Outcome.VIOLATION
    assert "it closed its channel" in str(result.error)


DEAF = """
import gc, os, time
from rlm_sandbox import protocol, values
from rlm_sandbox.framing import frame
from rlm_sandbox.worker import channel, checkpoint
(own,) = [thing for thing in gc.get_objects() if type(thing) is channel.Channel]
say = lambda message: own.socket.sendall(frame(protocol.encode(message)))
for number in range(1, 101):
    say(protocol.Call(number, 0, values.encode([[], {}]), False))
time.sleep(0.5)  # the socket is full of replies then: one of them is on its way for good
say(protocol.Done(1, "ok", None, "", False))
while True:  # as soon as it may: it sleeps as a checkpoint, and has read nothing
    try: child = os.fork()
    except OSError: continue
    if child == 0: checkpoint._rendezvous(0, 0)
    time.sleep(1000)
"""


@pytest.mark.parametrize("checkpoints", [0, 4])
def test_a_session_that_reads_nothing_after_its_step_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, checkpoints: int
) -> None:
    monkeypatch.setattr(link_module, "SAVE_SECONDS", 0.3)
    monkeypatch.setattr(link_module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(link_module, "WAKE_SECONDS", 0.3)
    limits = Limits(checkpoints=checkpoints)
    reply = "x" * 10_000
    with Sandbox(imports="all", functions={"reply": lambda: reply}, limits=limits) as box:
        rescue = threading.Timer(PATIENCE, box.close)  # where it does keep us waiting
        rescue.start()
        assert box.exec(DEAF).outcome is Outcome.OK
        with pytest.raises((AnswerLost, SessionLost)):
            box.get("x")
        rescue.cancel()
        assert printed(box, "print('on')") == "on\n"


DUMB = """
import gc, time
from rlm_sandbox import protocol
from rlm_sandbox.worker import channel
(own,) = [thing for thing in gc.get_objects() if type(thing) is channel.Channel]
receive = own.receive
def receive_and_be_silent():
    message = receive()
    if isinstance(message, protocol.Get): time.sleep(1000)
    return message
own.receive = receive_and_be_silent
"""


def test_an_answer_is_not_waited_for_when_the_session_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "ANSWER_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr(link_module, "LAST_SECONDS", 0.5)
    with Sandbox(imports="all", limits=Limits(session_seconds=1)) as box:
        rescue = threading.Timer(PATIENCE, box.close)
        rescue.start()
        box.exec(DUMB)
        with pytest.raises((AnswerLost, SessionLost)):
            box.get("x")
        assert not box.closed
        rescue.cancel()


def test_one_that_is_closed_just_as_its_user_leaves_is_ended_all_the_same() -> None:
    box = Sandbox()
    worker, keeper = psutil.Process(link_of(box).process.pid), box._keeper
    keeper._turn.take()  # by a thread that has seen, a moment ago, that it is open
    closing = threading.Thread(target=box.close)
    closing.start()
    until(lambda: keeper.closed)
    keeper._turn.give_back()
    closing.join(PATIENCE)
    assert keeper.life.link is None
    assert outliving([worker], PATIENCE) == []
