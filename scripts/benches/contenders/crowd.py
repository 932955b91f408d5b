"""Many live sessions of one machine at once."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rlm_sandbox import Sandbox
from scripts.benches.contenders.stage import descendants, now, proportional_memory


def sessions(count: int, looks: Sequence[int]) -> dict[str, list[Any]]:
    """Seconds of each opening and of each answer while all live, and the bytes of them all.

    `growth` has the bytes of so many as `looks` names, none of which has run anything yet.
    """
    Sandbox(isolation="full").close()  # the zygote is there
    _allow_descriptors(count * 16 + 256)
    with ExitStack() as stack:
        opening, answering, growth = [], [], []
        boxes = []
        for number in range(1, count + 1):
            began = now()
            boxes.append(stack.enter_context(Sandbox(isolation="full")))
            opening.append(now() - began)
            if number in looks:
                growth.append((number, _memory()))
        for number, box in enumerate(boxes):
            began = now()
            box.exec(f"x = {number}")
            answering.append(now() - began)
        memory = [_memory()]
    return {"opening": opening, "answering": answering, "memory": memory, "growth": growth}


def _memory() -> int:
    return proportional_memory(descendants(os.getpid()))


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


TASKS = {"sessions": sessions}
