"""A wall says which layers it has, and is bare of everything else to begin with."""

from __future__ import annotations

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
