"""How much this server takes on, and from whom."""

from __future__ import annotations

import os
from dataclasses import dataclass

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MIB = 1024 * 1024


def default_turns() -> int:
    """Runs at once: they wait for models most of their time."""
    return 4 * (os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are seconds, sizes bytes."""

    host: str = "127.0.0.1"
    port: int = 8000
    turns: int = 8
    """Runs at once, each with a sandbox and a thread."""
    straight_turns: int = 256
    """Short requests at once, each a connection to the model's server."""
    places: int = 64
    """Requests that wait for a turn; one more is told to come again later."""
    queue_seconds: float = 60.0
    most_bytes: int = 64 * MIB
    """Of one request."""
    body_seconds: float = 60.0
    """Within which a request must have arrived."""
    seconds: float = 600.0
    """Within which it is answered."""
    grace_seconds: float = 30.0
    """What is under way when the server is told to end may take this long."""
    allowed_hosts: frozenset[str] = frozenset()
    """Further names in `Host`, beside those of the loopback interface."""

    @property
    def most_inside(self) -> int:
        """Requests that are here in all, in a lane or before one."""
        return self.turns + self.straight_turns + 2 * self.places

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return self.host in LOOPBACK
