"""What is behind a sandbox."""

from __future__ import annotations

from rlm_sandbox import Sandbox
from rlm_sandbox.host.link import Link


def link_of(box: Sandbox) -> Link:
    """The process that its session lives in now."""
    link = box._keeper.life.link
    assert link is not None
    return link
