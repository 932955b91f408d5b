"""Seen from outside: whatever happens to a program, nothing of its sandboxes is left."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from rlm_sandbox import Outcome, Sandbox
from tests.census import standing
from tests.processes import descendants, outliving
from tests.rlm_sandbox import program

GONE_SECONDS = 60.0

OPEN_THREE = """
    import time
    from rlm_sandbox import Sandbox
    boxes = [Sandbox(imports="all") for _ in range(3)]
    for box in boxes:
        box.exec("x = 1")
    print("ready", flush=True)
"""


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    """All of these processes end by themselves."""
    assert [process.cmdline() for process in outliving(processes, GONE_SECONDS)] == []


def end_of(source: str, ending: signal.Signals | None) -> list[psutil.Process]:
    """Start a program with sandboxes, end it, and return the processes that it had."""
    with program.start(source) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            had = family(process.pid)
            assert len(had) >= 1 + 3  # a zygote, three workers at least
            if ending is None:
                process.communicate(timeout=GONE_SECONDS)
            else:
                process.send_signal(ending)
                process.wait(GONE_SECONDS)
        finally:
            process.kill()
    return had


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_a_program_that_a_signal_kills_leaves_no_process_behind(ending: signal.Signals) -> None:
    assert_gone(end_of(OPEN_THREE + "\n    time.sleep(1000)", ending))


def test_a_program_that_ends_with_open_sandboxes_leaves_no_process_behind() -> None:
    assert_gone(end_of(OPEN_THREE + "\n    input()", None))


def test_a_program_that_is_killed_in_the_midst_of_steps_leaves_no_process_behind() -> None:
    source = """
        import threading
        from rlm_sandbox import Sandbox
        running = threading.Barrier(4)
        def work():
            Sandbox(functions={"here": running.wait}).exec("here()\\nwhile True: pass")
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        running.wait()
        print("ready", flush=True)
        threading.Event().wait()
    """
    assert_gone(end_of(source, signal.SIGKILL))


def test_a_program_that_ends_in_the_midst_of_a_step_ends_promptly_and_cleanly() -> None:
    out = program.run("""
        import threading
        from rlm_sandbox import Sandbox
        running = threading.Event()
        box = Sandbox(functions={"here": running.set})
        threading.Thread(target=box.exec, args=("here()\\nwhile True: pass",), daemon=True).start()
        running.wait()
        print("over")
    """)
    assert out == "over\n"


def test_the_environment_and_the_files_of_the_controller_are_not_in_the_worker(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("file-secret")
    out = program.run(
        f"""
        import os
        from rlm_sandbox import Sandbox
        held = open({str(secret)!r})
        held.seek(5)
        os.set_inheritable(held.fileno(), True)
        for isolation in ("auto", "none"):
            with Sandbox(imports="all", isolation=isolation) as box:
                result = box.exec({LOOK_AROUND!r})
                print(result.error, box.get("environment"), box.get("block"), box.get("files"))
        held.close()
        """,
        API_KEY="hunter2",
    )
    for line in out.splitlines():
        assert line.startswith("None {} ")
        assert "hunter2" not in line
        assert "secret" not in line
    assert out.count("\n") == 2


LOOK_AROUND = """
import os
environment = dict(os.environ)
try:
    block = open("/proc/self/environ", "rb").read()
except OSError:  # there is no /proc behind the wall
    block = b""
files = []
for number in range(64):
    try:
        # a regular file of the controller would show what is in it
        files.append(os.pread(number, 100, 0))
    except OSError:
        continue
"""


def test_a_fork_of_the_controller_has_a_zygote_of_its_own_and_no_one_elses_sandboxes() -> None:
    out = program.run(
        """
        import os, sys
        from rlm_sandbox import Sandbox, SandboxClosed
        from rlm_sandbox.host.nursery import NURSERY
        box = Sandbox()
        box.exec("x = 1")
        before = NURSERY.pids()
        child = os.fork()
        if child == 0:
            try:
                box.exec("x = 2")
            except SandboxClosed:
                print("not mine", flush=True)
            box.close()
            with Sandbox() as own:
                own.exec("y = 3")
                print(own.get("y"), set(NURSERY.pids()).isdisjoint(before), flush=True)
            sys.exit(0)  # with all finalizers, as a program of its own would
        assert os.waitpid(child, 0)[1] == 0
        print(box.get("x"))
        box.close()
    """,
        PYTHONWARNINGS="ignore::DeprecationWarning",  # fork, from Python 3.12 on
    )
    assert out.splitlines() == ["not mine", "3 True", "1"]


def test_a_zygote_that_is_killed_is_replaced_and_its_workers_live_on() -> None:
    out = program.run("""
        import os, signal
        from rlm_sandbox import Sandbox
        from rlm_sandbox.host.nursery import NURSERY
        box = Sandbox()
        box.exec("x = 1")
        (old,) = NURSERY.pids()
        os.kill(old, signal.SIGKILL)
        os.waitid(os.P_PID, old, os.WEXITED | os.WNOWAIT)
        with Sandbox() as other:
            print(other.exec("print('new')").stdout, end="")
        print(box.get("x"), NURSERY.pids() != [old])
        box.close()
    """)
    assert out == "new\n1 True\n"


def counts() -> tuple[int, int, int]:
    """Processes, descriptors and threads that this process has now, besides its zygotes."""
    mine = descendants(os.getpid())
    gc.collect()
    return (
        len(mine - standing()),
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
    )


def more_than(before: tuple[int, int, int]) -> tuple[int, ...]:
    """What there is more of now, or after a while: an end takes a moment."""
    deadline = time.monotonic() + GONE_SECONDS
    while any(more := _more(before, counts())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return more


def _more(before: tuple[int, int, int], now: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(max(0, mine - former) for former, mine in zip(before, now, strict=True))


def test_two_hundred_sandboxes_leave_no_process_descriptor_thread_or_file(tmp_path: Path) -> None:
    with Sandbox() as first:  # what the first one brings may stay: the zygote, the watch
        first.exec("1")
    before, files = counts(), set(Path("/dev/shm").iterdir())
    for number in range(200):
        with Sandbox(functions={"f": abs}) as box:
            if number % 10 == 0:
                box.load("P", "text" * 10_000)
                assert box.exec("x = f(-3)").host_calls == 1
    assert more_than(before) == (0, 0, 0)
    assert set(Path("/dev/shm").iterdir()) == files


def test_forty_sandboxes_open_at_once_work_and_leave_nothing() -> None:
    before = counts()
    boxes = [Sandbox() for _ in range(40)]
    for number, box in enumerate(boxes):
        box.set("x", number)
    assert [box.get("x") for box in boxes] == list(range(40))
    for box in boxes:
        box.close()
    assert more_than(before) == (0, 0, 0)


def test_a_worker_that_is_killed_from_outside_is_a_crash_at_the_next_use() -> None:
    with Sandbox() as box:
        link = box._keeper.life.link
        assert link is not None
        os.kill(link.process.pid, signal.SIGKILL)
        assert box.exec("print('x')").outcome is Outcome.CRASHED
        assert box.exec("print('new')").stdout == "new\n"
