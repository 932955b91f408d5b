"""What a zygote has prepared for the walls of its workers."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_sandbox.confine.layers import Layer


@dataclass
class Wall:
    """Its layers, and what they are made of."""

    layers: frozenset[Layer]
    proc: int = -1
    """A descriptor of the host's /proc: uid maps are written there. Closed before code runs."""
    readable: tuple[str, ...] = ()
    """Folders that the code may read: the standard library, libraries, packages."""
    listable: tuple[str, ...] = ()
    """Folders of which the code may see the names: the packages' neighbours are not its own."""
    kept: tuple[str, ...] = ()
    """What must stay to be seen when a worker's own /tmp is put over the root's."""
    uids: range = range(0)
    """User ids for the workers, one each; empty: they run as this process does."""
    groups: tuple[int, ...] = ()
    """Descriptors of the folders of control groups below which workers have theirs."""
    workers: int = 0
    """How many have been started."""

    def has(self, layer: Layer) -> bool:
        return layer in self.layers
