"""What strikes the session as a whole: its processes, and what the host runs out of."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import rlm_sandbox
from rlm_sandbox import Limits, Outcome, Sandbox, State
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.keeper import Keeper
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.terms import Terms
from rlm_sandbox.protocol import Spawn, WorkerLimits
from tests.processes import outliving
from tests.rlm_sandbox import program
from tests.rlm_sandbox.promises.running import PATIENCE, printed

DIES = "import os\nos._exit(1)"


@contextmanager
def without(*layers: Layer, limits: Limits | None = None) -> Generator[Keeper]:
    """A session under a wall that lacks these layers."""
    limits = limits or Limits()
    breed = Breed(without=frozenset(layers))
    keeper = Keeper.start(breed, Spawn(WorkerLimits.of(limits), (), None), Terms(limits, {}, None))
    try:
        yield keeper
    finally:
        keeper.close()
        NURSERY.retire(breed)


def session_of(keeper: Keeper) -> psutil.Process:
    link = keeper.life.link
    assert link is not None
    return psutil.Process(link.process.pid)


def init_of(keeper: Keeper) -> psutil.Process:
    process = session_of(keeper)
    while (above := process.parent()) is not None and above.ppid() != os.getpid():
        process = above
    return process


def zygote_of(keeper: Keeper) -> psutil.Process:
    above = init_of(keeper).parent()
    assert above is not None
    return above


VICTIMS = {"session": session_of, "init": init_of, "zygote": zygote_of}


@pytest.mark.parametrize("name", VICTIMS)
def test_whichever_process_is_killed_in_a_step_the_step_ends_and_the_next_one_works(
    name: str,
) -> None:
    running = threading.Event()
    with Sandbox(functions={"here": running.set}, limits=Limits(step_seconds=1)) as box:
        box.exec("x = 1")
        process = VICTIMS[name](box._keeper)
        killer = threading.Thread(target=lambda: (running.wait(PATIENCE), process.kill()))
        killer.start()
        result = box.exec("here()\nwhile True: pass")
        killer.join()
        expected = {
            "session": (Outcome.CRASHED, State.RESTORED if "gate" in box.layers else State.LOST),
            "init": (Outcome.CRASHED, State.LOST),
            "zygote": (Outcome.TIMEOUT, State.KEPT),  # it has no part in a step
        }
        assert (result.outcome, result.state) == expected[name]
        assert box.exec("print('on')").stdout == "on\n"


@pytest.mark.parametrize("off", [(), (Layer.PID,), (Layer.PID, Layer.CGROUP)], ids=str)
def test_an_init_that_is_killed_leaves_neither_session_nor_checkpoint(
    off: tuple[Layer, ...],
) -> None:
    with without(*off) as keeper:
        keeper.exec("x = 1")
        assert keeper.life.link is not None
        keeper.life.link.settle()
        had = init_of(keeper).children(recursive=True)
        init_of(keeper).kill()
        assert outliving(had, PATIENCE) == []
        assert keeper.exec("print('x')").state is State.LOST
        assert keeper.exec("print('on')").stdout == "on\n"


def test_a_controller_without_descriptors_restores_and_says_what_it_cannot_do() -> None:
    out = program.run("""
        import os, resource
        from rlm_sandbox import *
        Sandbox().close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        box = Sandbox(imports="all")
        box.exec("x = 1")
        held = []
        def hold_all():
            try:
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
        hold_all()
        result = box.exec("import os\\nos._exit(1)")
        print(result.outcome, result.state, box.exec("print(x)").stdout.strip())
        for name, use in {
            "open": Sandbox,
            "load": lambda: box.load("P", "text" * 10_000),
            "fork": box.fork,
        }.items():
            for _ in range(100):
                hold_all()  # again: those of the dead worker are closed in the background
                try:
                    use()
                except SandboxError as error:
                    print(name, type(error).__name__, "Too many open files" in str(error))
                    break
        for descriptor in held:
            os.close(descriptor)
        box.load("P", "text")
        with box.fork() as twin, Sandbox() as other:
            print(twin.exec("print(P, x)").stdout.strip(), other.exec("print('on')").stdout.strip())
        box.close()
    """)
    assert out.splitlines() == [
        "exited restored 1",
        "open StartFailed True",
        "load ControllerExhausted True",
        "fork CheckpointUnavailable True",
        "text 1 on",
    ]


def test_a_controller_without_threads_says_so_and_changes_nothing() -> None:
    out = program.run("""
        import threading
        from rlm_sandbox import *
        def refuse(self):
            raise RuntimeError("can't start new thread")
        box = Sandbox(functions={"f": abs})
        start, threading.Thread.start = threading.Thread.start, refuse
        try:
            box.exec("x = 1")
        except ControllerExhausted as error:
            print(error)
        threading.Thread.start = start
        print(box.exec("x = 1").outcome)
        threading.Thread.start = refuse
        code = (
            "from concurrent.futures import ThreadPoolExecutor\\n"
            "with ThreadPoolExecutor(2) as pool: print(list(pool.map(f, [-1, -2])))"
        )
        print(box.exec(code).error)
        threading.Thread.start = start
        print(box.exec(code).stdout.strip(), box.get("x"))
        box.close()
    """)
    assert out.splitlines() == [
        "no step can be watched: can't start new thread",
        "ok",
        "RuntimeError: can't start new thread (line 2)",
        "[1, 2] 1",
    ]


FILL = """
held = []
try:
    while True:
        held.append(open(f"/tmp/{len(held)}", "wb", buffering=0))
        while held[-1].write(b"x" * 65536) == 65536 and held[-1].tell() < 8 << 20: pass
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("off", [(), (Layer.CGROUP,)], ids=["as it comes", "no control group"])
def test_a_full_disk_is_an_error_in_the_code_and_no_harm_to_the_session(
    off: tuple[Layer, ...],
) -> None:
    with without(*off, limits=Limits(tmp_bytes="32MiB", memory="128MiB")) as keeper:
        if Layer.MOUNT not in NURSERY.layers(keeper.breed):
            pytest.skip("there is no /tmp behind this wall")
        keeper.exec("x = bytearray(100 << 20)")
        assert keeper.exec(FILL).stdout in {"No space left on device\n", "Too many open files\n"}
        assert keeper.exec(DIES).outcome is Outcome.EXITED
        assert keeper.exec("print(len(x) >> 20)").stdout == "100\n"


def test_no_file_of_the_host_is_written() -> None:
    out = program.run(
        """
        from rlm_sandbox import Sandbox
        with Sandbox(imports="all") as box:
            box.load("P", "text")
            box.exec("x = 1")
            box.exec("import os; os._exit(1)")
            print(box.exec("print(P, x)").stdout.strip())
        """,
        TMPDIR="/nowhere",
        HOME="/nowhere",
    )
    assert out == "text 1\n"


def test_a_clock_that_jumps_changes_nothing() -> None:
    out = program.run("""
        import itertools, time
        from rlm_sandbox import *
        jumps = itertools.cycle([0.0, 4e9, -1e9])
        time.time = lambda: next(jumps)
        with Sandbox(limits=Limits(step_seconds=0.3, session_seconds=60)) as box:
            print(box.exec("x = 1").outcome, box.exec("while True: pass").outcome, box.get("x"))
    """)
    assert out == "ok timeout 1\n"


def test_only_the_monotonic_clock_is_asked() -> None:
    root = Path(rlm_sandbox.__file__).parent
    asked = [
        path.name
        for folder in (root, root / "host", root / "worker")
        for path in folder.glob("*.py")
        if re.search(r"\btime\.time\(|datetime\.now\(", path.read_text())
    ]
    assert asked == []


def test_a_thread_that_keeps_a_call_pending_does_not_hide_one_that_spins() -> None:
    over = threading.Event()
    spin = (
        "import threading\nthreading.Thread(target=wait, daemon=True).start()\nwhile True: pass\n"
    )
    try:
        with Sandbox(
            functions={"wait": lambda: over.wait(PATIENCE)}, limits=Limits(cpu_seconds=0.3)
        ) as box:
            assert box.exec(spin).outcome is Outcome.CPU
            assert printed(box, "print('on')").endswith("on\n")
        limits = Limits(session_seconds=0.5)
        with Sandbox(functions={"wait": lambda: over.wait(PATIENCE)}, limits=limits) as box:
            result = box.exec(spin)
            assert result.outcome is Outcome.TIMEOUT
            assert "the session has used its 0.5 s" in str(result.error)
    finally:
        over.set()


def test_a_long_wait_beside_a_little_work_is_no_timeout() -> None:
    with Sandbox(functions={"wait": lambda: time.sleep(3.1)}, limits=Limits(step_seconds=3)) as box:
        work = "end = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
        result = box.exec(work + "wait()\n" + work)
        assert result.outcome is Outcome.OK
        assert result.worker_seconds < 3.0 < 3.1 <= result.wall_seconds


def test_the_rlimit_ends_what_nobody_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlm_sandbox.host.watch import Guard

    monkeypatch.setattr(Guard, "look", lambda self, now: now + 0.05)  # the watch is asleep
    with Sandbox(limits=Limits(cpu_seconds=0.2)) as box:
        box.exec("x = 1")
        result = box.exec("while True: pass")
        assert result.outcome is Outcome.CPU
        assert result.cpu_seconds >= 1.2
        assert "0.2 s of CPU time" in str(result.error)
