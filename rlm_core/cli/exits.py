"""The exit codes, which scripts may rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    ANSWERED = 0
    INTERNAL = 1  # a mistake in this program
    USAGE = 2  # wrong flags, environment or file names for output
    INPUT = 3  # the text cannot be read
    MODEL = 4  # the model did not answer
    LIMIT = 5  # the run was stopped before the model gave its final answer
    ISOLATION = 6  # this host cannot isolate code, or cannot run it
    DIFFERENT = 7  # a replay did not come out as it was recorded
    OUTPUT = 8  # results cannot be written: the disk is full
    INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT, as shells have it
