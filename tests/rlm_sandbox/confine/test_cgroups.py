"""Control groups: not delegated is said, delegated holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_sandbox.confine import cgroups
from rlm_sandbox.confine.layers import Layer
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs


def test_a_folder_that_is_no_control_group_is_not_delegated(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cgroup|No such file"):
        cgroups.Delegation(tmp_path / "memory", tmp_path / "memory")


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cgroups.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        cgroups.delegated()


def test_a_process_that_takes_more_than_its_group_has_is_killed_and_counted() -> None:
    needs(Layer.CGROUP)
    program.run("""
        import os
        from rlm_sandbox.confine import cgroups
        delegation = cgroups.delegated()
        group = delegation.take(64 << 20, 16)
        before = group.oom_kills()
        child = os.fork()
        if child == 0:
            cgroups.join(tuple(os.open(base, os.O_PATH) for base in delegation.bases), group.name)
            bytearray(256 << 20)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
        assert group.oom_kills() == before + 1
        delegation.give_back(group)
        assert delegation.take(64 << 20, 16) == group  # used again
        group.remove()
        delegation.close()
        assert not any(base.exists() for base in delegation.bases)
    """)


def test_a_group_bounds_the_number_of_processes() -> None:
    needs(Layer.CGROUP)
    program.run("""
        import errno, os
        from rlm_sandbox.confine import cgroups
        delegation = cgroups.delegated()
        group = delegation.take(64 << 20, 1)
        child = os.fork()
        if child == 0:
            cgroups.join(tuple(os.open(base, os.O_PATH) for base in delegation.bases), group.name)
            try:
                os.fork()
            except OSError as error:
                os._exit(error.errno)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EAGAIN
        group.remove()
        delegation.close()
    """)


def test_a_group_that_somebody_took_away_is_not_used_again(tmp_path: Path) -> None:
    delegation = cgroups.Delegation.__new__(cgroups.Delegation)  # without a host that delegates any
    delegation._free = []
    files = cgroups.Files("memory.max", "pids.max", "memory.events")
    delegation.give_back(cgroups.Group((tmp_path / "gone",), files))
    assert delegation._free == []


def scope(folder: Path, *inside: int, controls: str = "memory pids") -> Path:
    """Files as those of a group of version 2, with these processes in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.type").write_text("domain\n")
    (folder / "cgroup.controllers").write_text(controls)
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in inside))
    (folder / "cgroup.subtree_control").touch()
    return folder


def test_a_controller_that_is_alone_in_its_folder_makes_room_and_comes_back(tmp_path: Path) -> None:
    folder = scope(tmp_path / "run.scope", os.getpid())
    delegation = cgroups.Delegation(folder, folder)
    base = delegation.bases[0]
    assert (base / "controller" / "cgroup.procs").read_text() == str(os.getpid())
    assert (folder / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"
    delegation.close()
    assert (folder / "cgroup.procs").read_text() == str(os.getpid())
    assert (folder / "cgroup.subtree_control").read_text() == "-memory -pids"


def test_where_others_are_in_the_folder_nobody_is_moved(tmp_path: Path) -> None:
    folder = scope(tmp_path / "session.scope", os.getppid(), os.getpid())
    with pytest.raises(OSError, match="started alone"):
        cgroups.Delegation(folder, folder)
    assert not list(folder.glob(f"{cgroups.PREFIX}*"))


def test_an_empty_folder_and_the_root_need_no_room(tmp_path: Path) -> None:
    root = scope(tmp_path / "root", os.getpid(), os.getppid())
    (root / "cgroup.type").unlink()  # only the root has none
    for folder in (scope(tmp_path / "empty"), root):
        delegation = cgroups.Delegation(folder, folder)
        assert not (delegation.bases[0] / "controller").exists()
        delegation.close()


def test_a_process_of_a_controller_that_has_moved_finds_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scope(tmp_path / "run.scope")
    below = scope(folder / f"{cgroups.PREFIX}1/controller", os.getpid())
    monkeypatch.delenv(cgroups.VARIABLE, raising=False)
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": below})
    monkeypatch.setattr(cgroups, "_is_handed_over", lambda _: None)
    delegation = cgroups.delegated()
    assert delegation.bases == (folder / f"{cgroups.PREFIX}{os.getpid()}",)
    delegation.close()


def test_root_takes_no_folder_that_was_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scope(tmp_path / "some.service", os.getpid())
    monkeypatch.delenv(cgroups.VARIABLE, raising=False)
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": folder})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PermissionError, match="not delegated"):
        cgroups.delegated()
    monkeypatch.setattr(os, "getxattr", lambda _, name: b"1" if name == "user.delegate" else b"")
    cgroups.delegated().close()


def test_a_folder_that_processes_cannot_be_moved_to_is_not_delegated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = scope(tmp_path / "top")
    own, named = scope(top / "own", os.getpid()), scope(top / "named")
    monkeypatch.setenv(cgroups.VARIABLE, str(named))
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": own})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, _: path != top / "cgroup.procs")
    with pytest.raises(PermissionError, match="no process may move"):
        cgroups.delegated()
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)
    cgroups.delegated().close()
