"""What surviving costs: steps, checkpoints and restores by what a session holds.

    scripts/bench checkpoints [--gigabytes 1]

Prints a table; milliseconds, the median of several. `save` is a fork, hidden behind the caller's
thinking; `restore` is a step that dies, until its result is there and the session is as before;
`dirty` is a step that writes to all of it while a checkpoint keeps the old pages, `without` the
same step with no checkpoint.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

from rlm_sandbox import Limits, Sandbox, State

SUMMARY = "What surviving costs, by what a session holds."
DIES = "import os\nos._exit(1)"
ROUNDS = 5

HOLDINGS = {
    "nothing": ("", "x = 1"),
    "{size} in one string": (
        "data = bytearray({bytes})",
        "for i in range(0, len(data), 4096): data[i] = i & 255",
    ),
    "{size} in small objects": (
        "data = [float(i) for i in range({bytes} // 32)]",
        "for i in range(len(data)): data[i] += 1.0",
    ),
}


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1e3


def steps(checkpoints: int) -> float:
    """One small step after another, without a pause."""
    with Sandbox(imports="all", limits=Limits(checkpoints=checkpoints)) as box:
        return statistics.median(milliseconds(lambda: box.exec("x = 1")) for _ in range(300))


def save(box: Sandbox) -> float:
    return milliseconds(lambda: box.checkpoint().close())


def restore(box: Sandbox) -> float:
    started = time.perf_counter()
    result = box.exec(DIES)
    assert result.state is State.RESTORED, result.error
    return (time.perf_counter() - started) * 1e3


def row(title: str, fill: str, dirty: str) -> None:
    with Sandbox(
        imports="all", limits=Limits(memory="16GiB", step_seconds=600, cpu_seconds=600)
    ) as box:
        filled = box.exec(fill)
        assert filled.error is None, filled.error
        box.exec("1")
        saves = statistics.median(save(box) for _ in range(ROUNDS))
        restores = statistics.median(restore(box) for _ in range(ROUNDS))
        time.sleep(0.2)
        first = milliseconds(lambda: box.exec(dirty))
        peak = box.exec("1").peak_memory / 2**20
    with Sandbox(
        imports="all",
        limits=Limits(memory="16GiB", step_seconds=600, cpu_seconds=600, checkpoints=0),
    ) as box:
        box.exec(fill)
        alone = milliseconds(lambda: box.exec(dirty))
    figures = f"{saves:8.2f} | {restores:8.2f} | {first:9.1f} | {alone:9.1f} | {peak:8.0f}"
    print(f"| {title:26} | {figures} |")


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench checkpoints", description=SUMMARY)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="what a large session holds")
    size = parser.parse_args(arguments).gigabytes
    print(f"a step: {steps(4):.3f} ms with checkpoints, {steps(0):.3f} ms without\n")
    print("| the session holds          |  save ms | rest. ms | dirty, ms | without   | peak MiB |")
    print("|----------------------------|----------|----------|-----------|-----------|----------|")
    for title, (fill, dirty) in HOLDINGS.items():
        named = title.format(size=f"{size:g} GB")
        row(named, fill.format(bytes=int(size * 1e9)), dirty)

    return 0
