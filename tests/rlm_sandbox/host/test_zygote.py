"""A zygote is clean, and has the place of the next worker standing ready."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from rlm_sandbox import Limits, Sandbox, StartFailed
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.texts import Texts
from rlm_sandbox.host.zygote import ENVIRONMENT
from tests.census import children, standing

PATIENCE = 30.0


def test_a_zygote_is_executed_not_forked_and_knows_nothing_of_our_environment() -> None:
    with Sandbox():
        for pid in NURSERY.pids():
            process = psutil.Process(pid)
            assert "-I" in process.cmdline()
            assert "-S" in process.cmdline()
            block = Path(f"/proc/{pid}/environ").read_bytes()
            names = {entry.partition(b"=")[0].decode() for entry in block.split(b"\0") if entry}
            assert names <= set(ENVIRONMENT)


def cradles() -> set[int]:
    """The inits that stand ready for plain sandboxes. One that is being made is waited for."""
    plain = NURSERY._zygotes[Breed()].pid
    deadline = time.monotonic() + PATIENCE
    while not (found := children({plain}) & standing()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def init_of(box: Sandbox) -> int | None:
    link = box._keeper.life.link
    assert link is not None
    return psutil.Process(link.process.pid).ppid()


def test_a_worker_takes_the_place_that_stands_ready() -> None:
    Sandbox().close()
    ready = cradles()
    with Sandbox() as box:
        assert init_of(box) in ready


def test_a_place_of_another_size_is_not_taken() -> None:
    Sandbox().close()
    ready = cradles()
    with Sandbox(limits=Limits(tmp_bytes="1MiB"), imports="all") as box:
        assert init_of(box) not in ready
        if "mount" in box.layers:
            told = box.exec("import os; s = os.statvfs('/tmp'); print(s.f_blocks * s.f_frsize)")
            assert int(told.stdout) <= 2 * 2**20


def test_a_place_whose_init_was_killed_is_made_anew() -> None:
    Sandbox().close()
    for pid in cradles():
        os.kill(pid, signal.SIGKILL)
    with Sandbox() as box:
        assert box.exec("6 * 7").stdout == "42\n"


def test_there_is_one_place_for_each_zygote_however_many_workers_came() -> None:
    for _ in range(3):
        boxes = [Sandbox() for _ in range(3)]
        for box in boxes:
            box.close()
    deadline = time.monotonic() + PATIENCE
    zygotes = set(NURSERY.pids())
    while len(left := children(zygotes)) > len(zygotes):
        assert time.monotonic() < deadline, left
        time.sleep(0.005)


def test_a_text_that_cannot_be_held_is_an_error_and_leaves_no_zygote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = NURSERY.pids()
    monkeypatch.setattr("rlm_sandbox.host.zygote.file_of", _longer_than_it_is)
    with pytest.raises(StartFailed, match="the text 'P' cannot be held"):
        NURSERY.tier(Breed(texts=Texts({"P": "text"})))
    assert NURSERY.pids() == before


def _longer_than_it_is(_text: str) -> tuple[int, int]:
    return os.memfd_create("rlm-text"), 1_000_000


def test_a_zygote_never_reads_what_a_worker_is_given() -> None:
    """Its forks would find it in their memory: names of functions and modules of somebody else."""
    name = "named_by_" + "a_tenant_" * 3
    with Sandbox(functions={name: print}, imports=[name + "module"]) as box:
        assert name in str(box.exec(f"print({name})").stdout)
        for pid in NURSERY.pids():
            assert name.encode() not in memory_of(pid)


def memory_of(pid: int) -> bytes:
    """All that a process may write to. Skips where this user may not look."""
    found = bytearray()
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                if " rw" not in line or "[vvar" in line:
                    continue
                start, end = (int(text, 16) for text in line.split()[0].split("-"))
                memory.seek(start)
                found += memory.read(end - start) or b""
    except PermissionError:
        pytest.skip("only root may look into a zygote's memory")
    return bytes(found)
