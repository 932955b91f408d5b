"""Limits take readable sizes, are frozen, and refuse what has no meaning."""

from __future__ import annotations

import dataclasses
import math

import pytest

from rlm_sandbox.limits import Limits, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("12B", 12),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("512MiB", 512 * 1024**2),
        ("1.5 GB", 1_500_000_000),
        (" 2 tib ", 2 * 1024**4),
    ],
)
def test_a_size_is_written_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 XB", "1e3", "12 34", "1MiB2"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example '512MiB'"):
        parse_size(text)


def test_a_size_reads_as_bytes_however_it_was_given() -> None:
    assert Limits(memory="1GiB").memory == Limits(memory=2**30).memory == 2**30


def test_unset_means_a_default_and_not_unlimited() -> None:
    limits = Limits()
    values = {name: value for name, value in dataclasses.asdict(limits).items() if value is None}
    assert values == {"session_seconds": None}
    assert limits.memory == 2**30


def test_limits_are_frozen_and_can_be_replaced() -> None:
    limits = Limits(memory="64MiB")
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.__setattr__("step_seconds", 1.0)
    changed = dataclasses.replace(limits, step_seconds=2.5)
    assert (changed.memory, changed.step_seconds) == (64 * 2**20, 2.5)
    assert limits == Limits(memory=64 * 2**20)


def test_limits_are_given_by_name_only() -> None:
    with pytest.raises(TypeError):
        Limits(1.0)  # ty: ignore[too-many-positional-arguments]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
@pytest.mark.parametrize("value", [-1, math.nan, True, [1]])
def test_a_limit_that_is_no_positive_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"Limits\.{name} must be"):
        dataclasses.replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", ["processes", "open_files", "memory", "output_chars"])
def test_a_count_or_a_size_is_a_whole_number_above_zero(name: str) -> None:
    for value in (0, 1.5):
        with pytest.raises(ValueError, match=rf"Limits\.{name} must be"):
            dataclasses.replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", ["checkpoints", "host_calls", "tmp_bytes"])
def test_what_can_be_turned_off_may_be_zero(name: str) -> None:
    assert getattr(dataclasses.replace(Limits(), **{name: 0}), name) == 0
