"""Landlock alone: no namespace and no filter beside it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rlm_sandbox.confine import landlock
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor.stage import Stage
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import errno, os, socket, sys
from rlm_sandbox.confine import landlock, lockdown, privileges
privileges.no_new_privileges()
LIBRARY = [(path, landlock.READ) for path in [*sys.path, *lockdown.library_folders()] if path]
folder = os.environ["FOLDER"]
def refused(attempt, *expected):
    try:
        attempt()
    except OSError as error:
        assert error.errno in expected, error
    else:
        raise AssertionError("it succeeded")
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    needs(Layer.LANDLOCK)
    (tmp_path / "readable").mkdir()
    (tmp_path / "readable" / "file").write_text("read me")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "writable").mkdir()
    return str(tmp_path)


def test_what_is_not_granted_can_neither_be_read_nor_made_nor_listed(folder: str) -> None:
    program.run(
        PRELUDE
        + """
landlock.restrict(LIBRARY)
refused(lambda: open(f"{folder}/secret"), errno.EACCES)
refused(lambda: open(f"{folder}/new", "w"), errno.EACCES)
refused(lambda: os.listdir(folder), errno.EACCES)
refused(lambda: os.mkdir(f"{folder}/sub"), errno.EACCES)
refused(lambda: os.unlink(f"{folder}/secret"), errno.EACCES)
import json.tool  # what is granted goes on working
""",
        FOLDER=folder,
    )
    assert (Path(folder) / "secret").read_text() == "secret"


def test_a_grant_to_read_is_no_grant_to_write(folder: str) -> None:
    program.run(
        PRELUDE
        + """
landlock.restrict([*LIBRARY, (f"{folder}/readable", landlock.READ)])
assert open(f"{folder}/readable/file").read() == "read me"
refused(lambda: open(f"{folder}/readable/file", "a"), errno.EACCES)
refused(lambda: os.link(f"{folder}/readable/file", f"{folder}/readable/2"), errno.EACCES)
refused(lambda: os.execv(f"{folder}/readable/file", ["x"]), errno.EACCES)
""",
        FOLDER=folder,
    )


def test_a_grant_to_write_makes_files_and_nothing_but_files(folder: str) -> None:
    program.run(
        PRELUDE
        + """
landlock.restrict([*LIBRARY, (f"{folder}/writable", landlock.WRITE)])
open(f"{folder}/writable/file", "w").write("x")
os.truncate(f"{folder}/writable/file", 0)
os.mkdir(f"{folder}/writable/sub")
refused(lambda: os.symlink("/etc", f"{folder}/writable/link"), errno.EACCES)
refused(lambda: os.mkfifo(f"{folder}/writable/fifo"), errno.EACCES)
refused(lambda: os.rename(f"{folder}/writable/file", f"{folder}/out"), errno.EACCES, errno.EXDEV)
os.unlink(f"{folder}/writable/file")
""",
        FOLDER=folder,
    )


def test_listeners_and_processes_outside_are_out_of_reach(folder: str) -> None:
    if landlock.abi() < 6:
        pytest.skip(f"Landlock ABI {landlock.abi()} has no scopes: it must be 6 or more")
    with Stage() as stage:
        program.run(
            PRELUDE
            + """
port, name, pid = int(os.environ["PORT"]), os.environ["NAME"], int(os.environ["PID"])
def connect(family, address):
    with socket.socket(family) as client:
        client.connect(address)
landlock.restrict(LIBRARY)
refused(lambda: connect(socket.AF_INET, ("127.0.0.1", port)), errno.EACCES)
refused(lambda: socket.socket().bind(("127.0.0.1", 0)), errno.EACCES)
refused(lambda: connect(socket.AF_UNIX, chr(0) + name), errno.EPERM)
refused(lambda: os.kill(pid, 0), errno.EPERM)
os.kill(os.getpid(), 0)
""",
            FOLDER=folder,
            PORT=str(stage.targets.port),
            NAME=stage.targets.abstract,
            PID=str(stage.targets.pid),
        )
        assert stage.visitors() == []


def test_sockets_of_others_in_the_file_system_are_out_of_reach(folder: str) -> None:
    if landlock.abi() < 9:
        pytest.skip(f"Landlock ABI {landlock.abi()} does not know them: it must be 9 or more")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        program.run(
            PRELUDE
            + """
landlock.restrict([*LIBRARY, (folder, landlock.READ)])
refused(lambda: socket.socket(socket.AF_UNIX).connect(f"{folder}/socket"), errno.EACCES)
""",
            FOLDER=folder,
        )


def test_datagrams_cannot_be_sent(folder: str) -> None:
    if landlock.abi() < 10:
        pytest.skip(f"Landlock ABI {landlock.abi()} does not know them: it must be 10 or more")
    program.run(
        PRELUDE
        + """
landlock.restrict(LIBRARY)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused(lambda: datagrams.sendto(b"x", ("127.0.0.1", 9)), errno.EACCES)
refused(lambda: datagrams.bind(("127.0.0.1", 0)), errno.EACCES)
""",
        FOLDER=folder,
    )


@pytest.mark.parametrize(
    ("abi", "rights"),
    [
        (1, (0x1FFF, 0, 0)),
        (2, (0x3FFF, 0, 0)),
        (3, (0x7FFF, 0, 0)),
        (4, (0x7FFF, 0b11, 0)),
        (5, (0xFFFF, 0b11, 0)),
        (6, (0xFFFF, 0b11, 0b11)),
        (8, (0xFFFF, 0b11, 0b11)),
        (9, (0x1FFFF, 0b11, 0b11)),
        (10, (0x1FFFF, 0b1111, 0b11)),
        (99, (0x1FFFF, 0b1111, 0b11)),
    ],
)
def test_each_kernel_is_asked_for_all_that_it_knows(abi: int, rights: tuple[int, int, int]) -> None:
    assert landlock.handled(abi) == rights


def test_children_are_under_it_too(folder: str) -> None:
    program.run(
        PRELUDE
        + """
landlock.restrict(LIBRARY)
child = os.fork()
if child == 0:
    refused(lambda: open(f"{folder}/secret"), errno.EACCES)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
""",
        FOLDER=folder,
    )


@pytest.mark.parametrize("abi", range(1, landlock.NEWEST_KNOWN_ABI + 1))
def test_older_kernels_deny_files_too(folder: str, abi: int) -> None:
    if landlock.abi() < abi:
        pytest.skip(f"this kernel's ABI is {landlock.abi()}")
    program.run(
        PRELUDE
        + """
landlock.abi = lambda: int(os.environ["ABI"])
landlock.restrict([*LIBRARY, (f"{folder}/writable", landlock.WRITE)])
open(f"{folder}/writable/file", "w").write("x")
refused(lambda: open(f"{folder}/secret"), errno.EACCES)
""",
        FOLDER=folder,
        ABI=str(abi),
    )


def test_a_grant_of_what_is_not_there_grants_nothing(folder: str) -> None:
    program.run(
        PRELUDE
        + """
landlock.restrict([*LIBRARY, (f"{folder}/nothing", landlock.READ)])
refused(lambda: os.listdir(folder), errno.EACCES)
""",
        FOLDER=folder,
    )


def test_a_kernel_without_landlock_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(OSError, match="landlock: this kernel has none"):
        landlock.restrict([])
