"""bubblewrap: the plain child of `control` within namespaces and a read-only view of the host."""

from __future__ import annotations

import shutil

from scripts.benches.contenders.control import Plain
from scripts.benches.contenders.sessions import Work

BWRAP = shutil.which("bwrap")
if BWRAP is None:
    raise RuntimeError("bubblewrap (bwrap) is not installed on this machine")


class Wrapped(Plain):
    """Nothing of the host can be written, nothing of the network is there."""

    wrapping = (
        BWRAP,
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--die-with-parent",
    )


TASKS = Work(Wrapped, None).tasks("spare")
