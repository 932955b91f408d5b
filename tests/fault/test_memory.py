"""Memory is bounded however it is taken, with a control group and without."""

from __future__ import annotations

import pytest

from rlm_sandbox import Limits, Outcome, State
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.nursery import NURSERY
from rlm_sandbox.host.watch import Guard
from tests.fault.test_whole_session import without

LIMITS = Limits(memory="96MiB", tmp_bytes="64MiB", step_seconds=20)
BEYOND = 64 * 2**20
"""How far a session may get beyond its limit before it is stopped; 12 MB is usual without load."""

WAYS = {
    "one large block": "x = b'x' * (1 << 30)",
    "as fast as pages come": "x = []\nwhile True: x.append(b'x' * (1 << 22))",
    "slowly": "import time\nx = []\nwhile True: x.append(bytearray(1 << 19)); time.sleep(0.0002)",
    "in many small objects": "x = []\nwhile True: x.append(object())",
    "made read-only": (
        "import ctypes, mmap\nown = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\ntaken = []\n"
        "while True:\n    m = mmap.mmap(-1, 1 << 22, flags=own)\n    taken.append(m)\n"
        "    for i in range(0, 1 << 22, 4096): m[i] = 1\n"
        "    place = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "    ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), 1 << 22, 1)"
    ),
    "in threads": (
        "import threading\nx = []\ndef take():\n    while True: x.append(b'x' * (1 << 20))\n"
        "for _ in range(4): threading.Thread(target=take, daemon=True).start()\n"
        "threading.Event().wait()"
    ),
}

BREEDS = pytest.mark.parametrize(
    "off", [(), (Layer.CGROUP,)], ids=["as it comes", "no control group"]
)


@BREEDS
def test_each_way_of_taking_memory_ends_in_its_outcome(off: tuple[Layer, ...]) -> None:
    with without(*off, limits=LIMITS) as keeper:
        keeper.exec("kept = 1")
        for name, code in WAYS.items():
            result = keeper.exec(code)
            if name == "in threads" and result.outcome is Outcome.TIMEOUT:
                continue  # each thread may have got a MemoryError of its own
            assert result.outcome is Outcome.MEMORY, (name, result)
            assert "96 MiB" in str(result.error)
            assert result.peak_memory < LIMITS.memory + BEYOND, name
            if result.state is State.KEPT:
                keeper.exec("x = None")
            assert keeper.exec("print(kept)").stdout == "1\n", name


def test_what_the_kernel_kills_for_memory_is_told_from_other_kills(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Guard, "look", lambda self, now: now + 0.05)  # the watch is asleep
    with without(limits=LIMITS) as keeper:
        if Layer.CGROUP not in NURSERY.layers(keeper.breed):
            pytest.skip("no control group is delegated here")
        keeper.exec("kept = 1")
        result = keeper.exec(WAYS["made read-only"])
        assert result.outcome is Outcome.MEMORY
        result = keeper.exec("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        assert result.outcome is Outcome.CRASHED
        assert "signal 9" in str(result.error)
        assert keeper.exec("print(kept)").stdout == "1\n"


@BREEDS
def test_files_in_tmp_are_bounded_by_themselves_and_with_the_rest(off: tuple[Layer, ...]) -> None:
    with without(*off, limits=LIMITS) as keeper:
        if Layer.MOUNT not in NURSERY.layers(keeper.breed):
            pytest.skip("there is no /tmp behind this wall")
        result = keeper.exec(
            "import mmap, os\nfiles = []\ntry:\n    for n in range(8):\n"
            "        files.append(open(f'/tmp/{n}', 'wb+'))\n"
            "        files[-1].write(bytes(16 << 20)); files[-1].flush()\n"
            "except OSError as error: print(error.strerror)"
        )
        assert (result.outcome, result.stdout) == (Outcome.OK, "No space left on device\n")
        assert keeper.exec("x = bytes(80 << 20)").outcome is Outcome.OK
        assert keeper.exec("y = [bytearray(b'x' * (1 << 20)) for _ in range(80)]").outcome is (
            Outcome.MEMORY
        )
