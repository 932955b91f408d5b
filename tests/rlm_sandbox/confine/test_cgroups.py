"""Control groups: not delegated is said, delegated holds."""

from __future__ import annotations

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
