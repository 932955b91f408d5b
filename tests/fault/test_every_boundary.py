"""Whatever fails at whatever message: a typed error or a true result, no orphan, no hang.

The scenario uses everything that a sandbox can do. It is run once for each message that it sends or
receives, with the fault there. After it, the sandbox must not have lost anything that it has not
said to be lost, and the next sandbox must work.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
from collections.abc import Callable, Iterator

import psutil
import pytest

from rlm_sandbox import (
    AnswerLost,
    Checkpoint,
    ExecResult,
    NameNotFound,
    Sandbox,
    SandboxError,
    SessionLost,
    State,
)
from rlm_sandbox.host import worker as worker_module
from rlm_sandbox.host.nursery import NURSERY, Breed
from tests.fault.boundaries import Boundaries, watched

HANGS = 240.0
MOST_MESSAGES = 400


class Story:
    """One run of the scenario, and what it was told."""

    def __init__(self) -> None:
        self.defined = False
        self.told_lost = False

    def run(self, box: Sandbox) -> None:
        box.set("x", 1)
        box.load("P", "text")
        box.load("Q", "text" * 10_000)  # too long for a message
        box.install("__all__ = ['double']\ndef double(n): return 2 * n")
        if self._heard(box.exec("y = echo(double(x))")).state is State.KEPT:
            self.defined = True
        self._heard(box.exec("y\nimport os\nos._exit(1)"))
        box.set("late", [1])
        self._heard(box.exec("late.append(y)"))
        box.get("late")
        box.describe()
        with box.checkpoint() as saved:
            self._branch(box, saved)

    def _branch(self, box: Sandbox, saved: Checkpoint) -> None:
        self._heard(box.exec("late = 3"))
        box.restore(saved)
        with box.fork() as twin:
            self._heard(box.exec("echo(y)"))
            self._heard(twin.exec("import os\nos._exit(1)"))
            twin.get("late")

    def _heard(self, result: ExecResult) -> ExecResult:
        if result.state is State.LOST:
            self.told_lost = True
            assert "All variables are lost" in str(result.error)
        return result


def tell(story: Story, box: Sandbox, allowed: tuple[type[BaseException], ...]) -> None:
    """Run the scenario; only typed errors may come out, and the injected one."""
    try:
        story.run(box)
    except SessionLost:
        story.told_lost = True
    except (SandboxError, *allowed) as error:
        if "is lost" in str(error):  # a restore that failed says what it has cost
            story.told_lost = True


def nothing_is_lost_untold(story: Story, box: Sandbox) -> None:
    """What was said to be kept is there, or the loss is told now."""
    if not story.defined:
        return
    for _ in range(3):
        try:
            assert box.get("y") == 2
        except AnswerLost:
            continue
        except SessionLost:
            return
        except NameNotFound:
            assert story.told_lost
        return


# --- faults -------------------------------------------------------------------------------------


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def session_killed(boundaries: Boundaries) -> None:
    for process in boundaries.sessions[-1:]:
        kill(process)


def init_killed(boundaries: Boundaries) -> None:
    for process in boundaries.inits:
        kill(process)


def zygote_killed(boundaries: Boundaries) -> None:
    zygote = NURSERY._zygotes.get(Breed())
    if zygote is not None:
        kill(psutil.Process(zygote.pid))


def interrupted(boundaries: Boundaries) -> None:
    out_of_descriptors(boundaries)  # what an interrupted recvmsg(2) has received nobody ever knows
    raise KeyboardInterrupt


def reset(boundaries: Boundaries) -> None:
    init_killed(boundaries)
    raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def out_of_descriptors(boundaries: Boundaries) -> None:
    """What the kernel does with descriptors for which the receiver has no room."""
    match boundaries.result:
        case (bytes() as data, [*descriptors], flags, address):
            for descriptor in descriptors:
                assert isinstance(descriptor, int)
                os.close(descriptor)
            boundaries.result = (data, [], flags, address)


FAULTS: dict[str, tuple[Callable[[Boundaries], None], bool]] = {
    "the session process is killed before": (session_killed, False),
    "the session process is killed after": (session_killed, True),
    "the init is killed before": (init_killed, False),
    "the init is killed after": (init_killed, True),
    "the zygote is killed before": (zygote_killed, False),
    "Ctrl-C comes before": (interrupted, False),
    "Ctrl-C comes after": (interrupted, True),
    "the connection is reset": (reset, False),
    "there is no room for descriptors": (out_of_descriptors, True),
}


@pytest.fixture(autouse=True)
def _a_hang_is_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Ctrl-C right after a message has come may lose it: the next one is then waited for in vain
    monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 1.0)
    faulthandler.dump_traceback_later(HANGS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def one_run(strike_at: int, name: str) -> bool:
    """The scenario with the fault at this message; False if it has none of that number."""
    fault, after = FAULTS[name]
    boundaries, story = Boundaries(strike_at, fault, after=after), Story()
    allowed = (KeyboardInterrupt,) if fault is interrupted else ()
    try:
        with watched(boundaries):
            box = Sandbox(functions={"echo": lambda value: value}, imports="all")
            try:
                tell(story, box, allowed)
                nothing_is_lost_untold(story, box)
            finally:
                box.close()
    except (SandboxError, *allowed):
        assert boundaries.struck
    return boundaries.struck


def strike_every(name: str, stride: int) -> None:
    for strike_at in range(1, MOST_MESSAGES, stride):
        if not one_run(strike_at, name):
            break
        with Sandbox() as after:
            assert after.exec("print('on')").stdout == "on\n"
    else:
        pytest.fail("the scenario has more messages than expected")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_at_every_message_is_told_and_leaves_nothing(name: str) -> None:
    strike_every(name, 1)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_at_many_messages_is_told_and_leaves_nothing(name: str) -> None:
    strike_every(name, 23)
