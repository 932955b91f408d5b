"""The work that all contenders are given: code that computes, texts, a task of a millisecond."""

from __future__ import annotations

import inspect

ASCII = b"The quick brown fox jumps over the lazy dog, and nobody minds. 0123456789\n"
MIXED = "Grüße aus Köln — 東京からこんにちは, привет, 😀 and plain words besides.\n".encode()

TASK = "total = 0\nfor number in range({}):\n    total += number * number % 7\n"


def text(size: int, kind: str) -> bytes:
    """Close to `size` bytes of UTF-8, "ascii" or "mixed"."""
    line = ASCII if kind == "ascii" else MIXED
    return line * max(1, size // len(line))


def ints() -> int:
    total = 0
    for number in range(150_000):
        total += number * number % 7
    return total


def dicts() -> int:
    counts: dict[int, int] = {}
    for number in range(60_000):
        key = number * 7919 % 5003
        counts[key] = counts.get(key, 0) + 1
    return max(counts.values())


def strings() -> int:
    words = [f"word{number % 997}" for number in range(30_000)]
    joined = " ".join(words)
    return len(joined.replace("word", "w").upper().split())


def calls() -> int:
    def fibonacci(number: int) -> int:
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    return fibonacci(24)


def objects() -> int:
    class Point:
        def __init__(self, x: int, y: int) -> None:
            self.x, self.y = x, y

    points = [Point(number, -number) for number in range(30_000)]
    return sum(point.x + point.y for point in points)


def regex() -> int:
    import re

    text = "order 1234 of 2024-05-06 for 12.50 EUR; " * 1500
    return len(re.findall(r"\d{4}-\d\d-\d\d|\d+\.\d\d", text))


def parsing() -> int:
    import json

    rows = [{"id": number, "name": f"n{number}", "tags": ["a", "b"]} for number in range(3_000)]
    return len(json.loads(json.dumps(rows)))


def sorting() -> int:
    numbers = [number * 7919 % 100_003 for number in range(60_000)]
    return len(sorted(numbers, key=lambda number: -number))


KERNELS = {
    kernel.__name__: kernel
    for kernel in (ints, dicts, strings, calls, objects, regex, parsing, sorting)
}
REPEATS = 5


def timed_source(kernel: str) -> str:
    """A program that runs a kernel some times after a warm-up and prints the seconds of each.

    CPU seconds, where the interpreter counts them: on a busy machine the others' share of the wall
    clock is larger than what is measured. Those of the thread: where a process has a limit of CPU
    time, the kernel counts those of the process by ticks.
    """
    return (
        "from time import perf_counter, thread_time\n"
        "clock = thread_time if thread_time() else perf_counter\n"
        f"{inspect.getsource(KERNELS[kernel])}\n"
        f"{kernel}()\n"
        f"for _ in range({REPEATS}):\n"
        "    began = clock()\n"
        f"    {kernel}()\n"
        "    print(clock() - began)\n"
    )
