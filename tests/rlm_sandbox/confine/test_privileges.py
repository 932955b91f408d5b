"""What a process gives up, looked at from outside in a process of its own."""

from __future__ import annotations

import os

import pytest

from rlm_sandbox.confine import privileges
from tests.rlm_sandbox import program


def test_what_is_given_up_is_gone() -> None:
    out = program.run("""
        from pathlib import Path
        from rlm_sandbox.confine import privileges
        privileges.no_new_privileges()
        status = Path("/proc/self/status").read_text()
        print("NoNewPrivs:\\t1" in status)
        privileges.not_dumpable()
        from rlm_sandbox.confine import libc
        print(libc.prctl(3))
    """)
    assert out == "True\n0\n"


def test_a_child_dies_with_its_parent() -> None:
    out = program.run("""
        import os, select
        from rlm_sandbox.confine import privileges
        privileges.adopt_orphans()
        alive, held = os.pipe()
        parent = os.fork()
        if parent == 0:
            if os.fork() == 0:
                privileges.die_with_parent()
                os.write(held, b"armed")
                while True:
                    select.select([], [], [])
            os.read(alive, 5)
            os._exit(0)
        os.close(held)
        os.waitpid(parent, 0)
        orphan, status = os.wait()  # ours now: orphans were adopted
        print(os.waitstatus_to_exitcode(status), os.read(alive, 1))
    """)
    assert out == "-9 b''\n"


def test_a_bounding_set_with_gaps_is_emptied_to_its_end() -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has no bounding set to empty")
    program.run("""
        from pathlib import Path
        from rlm_sandbox.confine import libc, privileges
        libc.prctl(24, 2)  # a gap near the beginning, as containers have it
        privileges.drop_capabilities()
        rows = Path("/proc/self/status").read_text().splitlines()
        sets = {row[:6]: int(row.split()[1], 16) for row in rows if row.startswith("Cap")}
        assert set(sets.values()) == {0}, sets
        assert privileges.capabilities() == (0, 0, 0)
    """)


def test_a_user_that_was_become_has_no_way_back() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    program.run("""
        import os
        from rlm_sandbox.confine import privileges
        uid = privileges.spare_uids()[0]
        privileges.bound_capabilities()
        privileges.become(uid)
        assert os.getresuid() == os.getresgid() == (uid,) * 3 and os.getgroups() == []
        try:
            os.setuid(0)
        except PermissionError:
            raise SystemExit(0)
        raise SystemExit("it is root again")
    """)


ALL_IDS = [(0, 2**32 - 1)]


def spare(monkeypatch: pytest.MonkeyPatch, mapped: list[tuple[int, int]], pid: int) -> range:
    monkeypatch.setattr(privileges, "holds", lambda *_: True)
    monkeypatch.setattr(privileges, "_mapped_ids", lambda: mapped)
    monkeypatch.setattr(os, "getpid", lambda: pid)
    return privileges.spare_uids()


def test_zygotes_have_ids_of_their_own_that_nobody_else_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (spare(monkeypatch, ALL_IDS, pid) for pid in (700, 701))
    assert set(first).isdisjoint(second)
    assert min(first) > 1_879_048_191
    assert max(first) < 2**31


@pytest.mark.parametrize("pid", range(1, 20))
def test_a_container_gives_of_the_upper_half_of_its_ids(
    monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    ids = spare(monkeypatch, [(0, 65536)], pid)
    assert len(ids) == 4096
    assert min(ids) >= 32766
    assert max(ids) < 65534


def test_too_few_ids_or_rights_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermissionError, match="too few user ids"):
        spare(monkeypatch, [(0, 1)], 7)
    assert not privileges.has_spare_uids()
    monkeypatch.setattr(privileges, "holds", lambda *_: False)
    with pytest.raises(PermissionError, match="CAP_SETUID"):
        privileges.spare_uids()
