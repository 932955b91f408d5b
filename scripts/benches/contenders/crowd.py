"""Many live sessions of one machine at once."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack

from rlm_sandbox import Sandbox
from scripts.benches.contenders.stage import descendants, now, proportional_memory


def sessions(count: int) -> dict[str, list[float]]:
    """Seconds of each opening and of each answer while all live, and the bytes of them all."""
    _allow_descriptors(count * 16 + 256)
    with ExitStack() as stack:
        opening, answering = [], []
        boxes = []
        for _ in range(count):
            began = now()
            boxes.append(stack.enter_context(Sandbox(isolation="full")))
            opening.append(now() - began)
        for number, box in enumerate(boxes):
            began = now()
            box.exec(f"x = {number}")
            answering.append(now() - began)
        memory = proportional_memory(descendants(os.getpid()))
        return {"opening": opening, "answering": answering, "memory": [memory]}


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


TASKS = {"sessions": sessions}
