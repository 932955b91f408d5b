"""Control groups for workers: found out once, used again, and each process's own."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from rlm_sandbox.confine import cgroups
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.groups import Groups
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs


def test_where_none_are_delegated_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(cgroups.VARIABLE, str(tmp_path / "nowhere"))
    groups = Groups()
    assert groups.refusal == ""
    assert groups.bases() == ()
    assert "nowhere" in groups.refusal


def test_the_host_is_asked_once_and_again_after_a_close(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse() -> NoReturn:
        asked.append("asked")
        raise OSError("no groups here")

    monkeypatch.setattr(cgroups, "delegated", refuse)
    groups = Groups()
    assert [groups.bases() for _ in range(3)] == [()] * 3
    assert len(asked) == 1
    groups.close()
    groups.bases()
    assert len(asked) == 2


def test_a_group_has_its_workers_limits_and_is_used_again() -> None:
    needs(Layer.CGROUP)
    out = program.run("""
        from pathlib import Path
        from rlm_sandbox import Limits
        from rlm_sandbox.host.groups import Groups
        from rlm_sandbox.protocol import WorkerLimits
        groups = Groups()
        bases = groups.bases()
        def take(memory):
            return groups.take(WorkerLimits.of(Limits(memory=memory)))
        def held(group):
            return int((group.folders[0] / group.files.memory).read_text())
        first = take("128MiB")
        small = held(first)
        groups.give_back(first)
        second, third = take("512MiB"), take("512MiB")
        print(second.name == first.name, third.name != second.name)
        print(held(second) - small == 384 << 20)
        groups.give_back(second)
        groups.give_back(third)
        groups.close()
        print([base for base in bases if Path(base).exists()])
    """)
    assert out == "True True\nTrue\n[]\n"


def test_a_fork_of_the_controller_has_groups_of_its_own() -> None:
    needs(Layer.CGROUP)
    out = program.run(
        """
        import os
        from rlm_sandbox.host.groups import GROUPS
        mine = GROUPS.bases()
        child = os.fork()
        if child == 0:
            print(set(GROUPS.bases()).isdisjoint(mine), flush=True)
            GROUPS.close()
            os._exit(0)
        os.waitpid(child, 0)
        print(all(os.path.isdir(base) for base in mine))
        """,
        PYTHONWARNINGS="ignore::DeprecationWarning",  # fork, from Python 3.12 on
    )
    assert out == "True\nTrue\n"
