"""The table of numbers against the kernel's own headers, where they are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlm_sandbox.confine import syscalls

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
ALIASES = {"newfstatat": "fstatat"}  # asm-generic's name for the same call
NEWER = {"fchmodat2", "uprobe", "uretprobe"}  # than many headers


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")
    known = {name: int(number) for name, number in pattern.findall(header.read_text())}
    for name in syscalls._NUMBERS.keys() - NEWER:
        expected = known.get(name, known.get(ALIASES.get(name, "")))
        assert syscalls.number(name, machine) == expected, name


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_no_two_calls_share_a_number(machine: str) -> None:
    numbers = [syscalls.number(name, machine) for name in syscalls._NUMBERS]
    given = [number for number in numbers if number is not None]
    assert len(given) == len(set(given))
    assert max(given) < syscalls.FIRST_UNKNOWN


def test_a_name_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        syscalls.number("frobnicate", "x86_64")


def test_some_calls_are_of_one_architecture_only() -> None:
    assert syscalls.number("fork", "x86_64") == 57
    assert syscalls.number("fork", "aarch64") is None
