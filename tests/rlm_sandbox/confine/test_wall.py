"""A wall says which layers it has, and is bare of everything else to begin with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall


def test_it_has_the_layers_that_it_was_made_with() -> None:
    wall = Wall(frozenset({Layer.PID, Layer.NET}))
    assert [layer for layer in Layer if wall.has(layer)] == [
        layer for layer in Layer if layer in {Layer.PID, Layer.NET}
    ]


def test_nothing_is_readable_and_nobody_has_a_user_id_before_it_is_prepared() -> None:
    wall = Wall(frozenset())
    assert (wall.proc, wall.readable, wall.listable, wall.kept, wall.groups) == (-1, (), (), (), ())
    assert not wall.uids


def test_a_user_id_is_nobody_elses_while_its_worker_lives() -> None:
    wall = Wall(frozenset(), uids=range(500, 503))
    wall.holders[501] = os.getpid()
    chosen = []
    for _ in range(4):
        wall.choose_uid()
        chosen.append(wall.uid)
    assert chosen in ([500, 502, 500, 502], [502, 500, 502, 500])


def test_with_no_user_id_left_there_is_no_further_worker() -> None:
    wall = Wall(frozenset(), uids=range(500, 502), holders=dict.fromkeys((500, 501), os.getpid()))
    with pytest.raises(BlockingIOError, match="all 2 user ids"):
        wall.choose_uid()


def test_the_id_of_a_worker_that_has_ended_is_given_out_again() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    wall = Wall(frozenset(), uids=range(500, 501), holders={500: ended.pid})
    wall.choose_uid()
    assert wall.uid == 500


def test_where_workers_have_no_ids_of_their_own_there_is_nothing_to_choose() -> None:
    wall = Wall(frozenset())
    wall.choose_uid()
    assert wall.uid == -1
