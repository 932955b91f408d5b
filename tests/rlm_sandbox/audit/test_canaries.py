"""What a hostile program touches is seen; what nobody touches is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rlm_sandbox.audit.canaries import Folder, Listeners, Victim

LOWEST_PRIORITY = 19


@pytest.fixture
def folder() -> Iterator[Folder]:
    opened = Folder("a-secret")
    yield opened
    opened.close()


CHANGES: dict[str, Callable[[Folder], object]] = {
    "content": lambda folder: folder.canary.write_text("changed\n"),
    "mode": lambda folder: folder.canary.chmod(0o777),
    "times": lambda folder: os.utime(folder.canary, (1, 1)),
    "removal": lambda folder: folder.canary.unlink(),
    "a new file": lambda folder: (folder.open / "new").touch(),
    "a new link": lambda folder: (folder.open / "new").symlink_to("/"),
    "a hard link": lambda folder: os.link(folder.canary, folder.path / "elsewhere"),
    "a removed folder": lambda folder: (folder.open / "empty").rmdir(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_can_be_undone(folder: Folder, name: str) -> None:
    assert folder.changes() == []
    CHANGES[name](folder)
    assert folder.changes() != []
    folder.reset()
    assert folder.changes() == []


def test_looking_at_it_changes_nothing(folder: Folder) -> None:
    folder.canary.read_text()
    list(folder.open.iterdir())
    assert folder.changes() == []


def test_every_listener_hears(tmp_path: Path) -> None:
    listeners = Listeners(tmp_path)
    ports, paths = listeners.ports, listeners.paths
    try:
        assert listeners.heard() == []
        socket.create_connection(("127.0.0.1", ports["tcp4"]), 5).close()
        assert listeners.heard() == ["tcp4"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", ports["udp4"]))
        assert listeners.heard() == ["udp4"]
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(paths["unix_stream"])
        assert listeners.heard() == ["unix_stream"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", paths["unix_datagram"])
        assert listeners.heard() == ["unix_datagram"]
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"\0{paths['abstract']}")
        assert listeners.heard() == ["abstract"]
        assert listeners.heard() == []
    finally:
        listeners.close()


@pytest.fixture
def victim() -> Iterator[Victim]:
    started = Victim("a-secret")
    yield started
    started.close()


def test_a_victim_in_peace_is_unharmed(victim: Victim) -> None:
    assert victim.harm() == []


def test_a_dead_victim_is_seen_and_can_be_replaced(victim: Victim) -> None:
    os.kill(victim.pid, 15)
    os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)
    assert victim.harm() == ["the victim has ended with status -15"]
    victim.close()
    victim.revive()
    assert victim.harm() == []


def test_a_victim_of_another_priority_is_seen(victim: Victim) -> None:
    before = os.getpriority(os.PRIO_PROCESS, victim.pid)  # the tests may be running at a low one
    after = before + 1 if before < LOWEST_PRIORITY else before - 1
    try:
        os.setpriority(os.PRIO_PROCESS, victim.pid, after)
    except PermissionError:
        pytest.skip("it has the lowest priority, and this user may not raise it")
    assert victim.harm() == [f"the victim: nice was '{before}' and is '{after}'"]


def test_a_victim_of_fewer_processors_is_seen(victim: Victim) -> None:
    processors = os.sched_getaffinity(victim.pid)
    if len(processors) < 2:
        pytest.skip("there is one processor only")
    os.sched_setaffinity(victim.pid, {min(processors)})
    assert victim.harm() == ["the victim has other processors"]


def test_every_user_can_reach_the_folder(folder: Folder) -> None:
    for part in (folder.path, *folder.path.parents):
        assert part.stat().st_mode & 0o001, part
