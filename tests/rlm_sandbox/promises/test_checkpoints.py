"""Checkpoints and forks: come back as often as you like, go on in several ways at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import psutil
import pytest

from rlm_sandbox import CheckpointUnavailable, Limits, Outcome, Sandbox, SandboxClosed, State
from tests.census import standing
from tests.processes import outliving
from tests.rlm_sandbox import program
from tests.rlm_sandbox.promises.running import PATIENCE, printed

DIES = "import os\nos._exit(1)"


@pytest.fixture(autouse=True)
def _checkpoints_exist(box: Sandbox) -> None:
    if "gate" not in box.layers:
        pytest.skip("this kernel has no seccomp user notifications")


@pytest.fixture
def roomy() -> Iterator[Sandbox]:
    """A sandbox with room for checkpoints, whose code may import what it likes."""
    with Sandbox(imports="all", limits=Limits(checkpoints=8)) as opened:
        yield opened


def test_a_checkpoint_is_come_back_to_many_times(roomy: Sandbox) -> None:
    roomy.exec("x = [0]")
    with roomy.checkpoint() as saved:
        for number in range(1, 6):
            roomy.exec(f"x.append({number})")
            assert roomy.get("x") == [0, number]
            roomy.restore(saved)
        assert roomy.get("x") == [0]


def test_several_checkpoints_are_each_their_own_moment(roomy: Sandbox) -> None:
    saved = []
    for number in range(4):
        roomy.exec(f"x = {number}")
        saved.append(roomy.checkpoint())
    for number in (2, 0, 3, 1, 1):
        roomy.restore(saved[number])
        assert printed(roomy, "print(x)") == f"{number}\n"


def test_a_checkpoint_outlives_steps_that_die(roomy: Sandbox) -> None:
    roomy.exec("x = 1")
    with roomy.checkpoint() as saved:
        roomy.exec("x = 2")
        for _ in range(3):
            assert roomy.exec(DIES).state is State.RESTORED
        assert roomy.get("x") == 2
        roomy.restore(saved)
        assert roomy.exec(DIES).state is State.RESTORED
        assert roomy.get("x") == 1


def test_no_more_checkpoints_live_at_once_than_allowed() -> None:
    with Sandbox(limits=Limits(checkpoints=2)) as box:
        box.exec("x = 1")
        first, second = box.checkpoint(), box.checkpoint()
        with pytest.raises(CheckpointUnavailable, match="2 checkpoints are alive"):
            box.checkpoint()
        first.close()
        first.close()
        third = box.checkpoint()
        with pytest.raises(CheckpointUnavailable, match="it was closed"):
            box.restore(first)
        box.restore(second)
        box.restore(third)
        assert box.get("x") == 1


def test_forks_go_on_from_one_state_and_share_no_memory(roomy: Sandbox) -> None:
    roomy.load("P", "text")
    roomy.exec("x = [0]")
    with roomy.fork() as one, roomy.fork() as two:
        for number, each in enumerate((roomy, one, two)):
            each.exec(f"x.append({number})")
        assert [each.get("x") for each in (roomy, one, two)] == [[0, 0], [0, 1], [0, 2]]
        assert printed(two, "print(P)") == "text\n"


def test_a_fork_of_a_fork_outlives_both(roomy: Sandbox) -> None:
    roomy.exec("x = 1")
    child = roomy.fork()
    child.exec("x += 1")
    grandchild = child.fork()
    roomy.close()
    child.close()
    with grandchild:
        assert grandchild.exec("x += 1").state is State.KEPT
        assert grandchild.exec(DIES).state is State.RESTORED
        assert grandchild.get("x") == 3


def test_a_fork_that_dies_does_not_touch_its_parent_and_the_other_way_round(
    roomy: Sandbox,
) -> None:
    roomy.exec("x = 1")
    with roomy.fork() as twin:
        # before Linux 6.15 nobody hears how a process ended whose parent is not the init
        assert twin.exec(DIES).outcome in {Outcome.EXITED, Outcome.CRASHED}
        assert roomy.exec(DIES).outcome is Outcome.EXITED
        assert (roomy.get("x"), twin.get("x")) == (1, 1)
        assert twin.isolation == roomy.isolation


def test_forks_draw_the_same_random_numbers_and_share_tmp(roomy: Sandbox) -> None:
    roomy.exec("import random\nrandom.random()")
    with roomy.fork() as twin:
        draw = "print(random.random())"
        assert printed(roomy, draw) == printed(twin, draw)
        if "mount" in roomy.layers:
            roomy.exec("print('mine', file=open('/tmp/note', 'w'), flush=True)")
            assert printed(twin, "print(open('/tmp/note').read(), end='')") == "mine\n"


def test_a_host_function_forks_the_state_before_the_step_that_calls_it() -> None:
    found: list[object] = []

    def look(name: str) -> None:
        with box.fork() as twin:
            found.append(twin.get(name))
            found.append(printed(twin, f"{name}.append('twin'); print({name})"))

    with Sandbox(functions={"look": look}, imports="all") as box:
        box.exec("x = ['before']")
        box.set("y", 1)
        assert printed(box, "x.append('now')\nlook('x')\nprint(x)") == "['before', 'now']\n"
        assert found == [["before"], "['before', 'twin']\n"]
        assert box.exec("x.append('lost')\nlook('x')\n" + DIES).state is State.RESTORED
        assert (box.get("x"), box.get("y")) == (["before", "now"], 1)


def test_a_fork_in_the_first_step_has_what_the_session_was_given() -> None:
    found: list[object] = []

    def look() -> None:
        with box.fork() as twin:
            found.append(twin.get("x"))
            found.append(twin.exec("print(y)").error)

    with Sandbox(functions={"look": look}) as box:
        box.set("x", 7)
        box.exec("y = 1\nlook()")
    assert found[0] == 7
    assert str(found[1]).startswith("NameError")


def test_threads_of_a_step_fork_at_once_each_its_own() -> None:
    def look(number: int) -> object:
        with box.fork({"own": lambda: number * 10}) as twin:
            twin.exec("x.append(own())")
            return twin.get("x")

    threads = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(list(pool.map(look, range(4))))"
    )
    with Sandbox(functions={"look": look}, imports="all") as box:
        box.exec("x = [1]")
        assert printed(box, threads) == "[[1, 0], [1, 10], [1, 20], [1, 30]]\n"
        assert box.exec(DIES).state is State.RESTORED
        assert box.get("x") == [1]


def test_a_fork_with_functions_of_its_own_has_no_others(roomy: Sandbox) -> None:
    roomy.exec("x = 1")
    with roomy.fork({"shout": str.upper}) as twin:
        assert printed(twin, "print(shout('a'), x)") == "A 1\n"
        twin.exec(DIES)
        assert printed(twin, "print(shout('b'), x)") == "B 1\n"
    assert "NameError" in str(roomy.exec("shout('a')").error)


def test_what_the_code_has_kept_of_a_function_is_the_one_of_that_name_in_a_fork() -> None:
    functions = {"a": lambda: "a of the parent", "b": lambda: "b of the parent"}
    with Sandbox(functions=functions) as box:
        box.exec("kept, other = a, b")
        with box.fork({"c": lambda: "c", "b": lambda: "b of the fork"}) as twin:
            assert printed(twin, "print(other())") == "b of the fork\n"
            assert str(twin.exec("kept()").error).startswith("RuntimeError: the host function a")
        with box.fork({}) as twin:
            result = twin.exec("kept()")
            assert (result.outcome, result.state) == (Outcome.ERROR, State.KEPT)
            assert "NameError" in str(twin.exec("a()").error)
        assert printed(box, "print(kept(), other())") == "a of the parent b of the parent\n"


def test_without_checkpoints_a_step_cannot_be_forked_and_goes_on() -> None:
    def look() -> None:
        box.fork()

    with Sandbox(functions={"look": look}, limits=Limits(checkpoints=0)) as box:
        box.exec("x = 1")
        assert "there are no checkpoints with" in str(box.exec("look()").error)
        assert box.get("x") == 1


def test_tmp_offsets_and_threads_are_not_in_a_checkpoint(roomy: Sandbox) -> None:
    if "mount" not in roomy.layers:
        pytest.skip("there is no /tmp behind this wall")
    roomy.exec(
        "import os, threading\nfile = os.open('/tmp/f', os.O_RDWR | os.O_CREAT)\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    with roomy.checkpoint() as saved:
        roomy.exec("os.write(file, b'12345')")
        roomy.restore(saved)
        look = "print(os.fstat(file).st_size, os.lseek(file, 0, 1), threading.active_count())"
        assert printed(roomy, look) == "5 5 1\n"


def test_closing_the_sandbox_frees_its_checkpoints(roomy: Sandbox) -> None:
    me = psutil.Process()
    before = set(me.children(recursive=True))
    with Sandbox() as other:
        other.exec("x = 1")
        saved = [other.checkpoint() for _ in range(4)]
        added = set(me.children(recursive=True)) - before
        assert len(added) >= 6
    gc.collect()
    its = [process for process in added if process.pid not in standing()]
    assert outliving(its, PATIENCE) == []
    with pytest.raises(SandboxClosed):
        other.restore(saved[0])


@pytest.mark.parametrize("how", ["limits=Limits(checkpoints=0)", 'isolation="none"'])
def test_where_there_can_be_none_that_is_said_and_a_lost_session_as_well(how: str) -> None:
    out = program.run(f"""
        from rlm_sandbox import *
        with Sandbox(imports="all", {how}) as box:
            box.exec("x = 1")
            for use in (box.checkpoint, box.fork):
                try:
                    use()
                except CheckpointUnavailable as error:
                    print("there are no checkpoints with" in str(error))
            result = box.exec("import os; os._exit(1)")
            print(result.state, "All variables are lost" in result.error)
            print(box.exec("print('x' in globals())").stdout, end="")
    """)
    assert out == "True\nTrue\nlost True\nFalse\n"


@pytest.mark.slow
@pytest.mark.parametrize("size", ["100 << 20", "1000 << 20"])
def test_a_large_session_is_restored_and_forked(size: str) -> None:
    with Sandbox(imports="all", limits=Limits(memory="4GiB")) as box:
        box.exec(f"text = 'x' * ({size})\nsmall = [str(i) for i in range(10 ** 6)]")
        for _ in range(3):
            assert box.exec(DIES).state is State.RESTORED
        with box.checkpoint() as saved, box.fork() as twin:
            assert twin.exec("small.clear()").outcome is Outcome.OK
            box.restore(saved)
            assert printed(box, f"print(len(text) == {size}, small[-1])") == "True 999999\n"
