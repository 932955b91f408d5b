"""The fuzzer finds nothing, and would find something if there were anything."""

from __future__ import annotations

import random

import pytest

from tests.scripts.test_suite import load

fuzz = load("fuzz")


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--frames", "3000", "--programs", "12", "--seed", "7"]) == 0
    told = capsys.readouterr().out
    assert "seed 7" in told
    assert "0 failures" in told


@pytest.mark.slow
def test_a_million_frames_and_ten_thousand_programs_find_nothing() -> None:
    assert fuzz.main([]) == 0


def test_frames_reach_every_part_of_the_controllers_side() -> None:
    report = fuzz.Report()
    fuzz.fuzz_frames(20_000, random.Random(1), report)
    assert {"frame accepted", "frame not read", "frame violation", "frame value refused"} <= set(
        report.counts
    )
    assert "frame too large" in report.counts


def test_an_exception_that_nobody_expects_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_payload: bytes) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(fuzz, "decode_from_worker", stumble)
    report = fuzz.Report()
    fuzz.fuzz_frames(50, random.Random(1), report)
    assert "KeyError" in report.failures[0]


def test_growth_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = fuzz.Growth()
    monkeypatch.setattr(fuzz, "GROWTH_BYTES", 8 << 20)
    held = bytearray(b"x" * (64 << 20))
    report = fuzz.Report()
    growth.check("a test", report)
    assert "has grown" in report.failures[0]
    assert held


def test_the_same_seed_writes_the_same() -> None:
    def written(seed: int) -> list[object]:
        dice = random.Random(seed)
        mutator, author = fuzz.Mutator(dice, fuzz.seeds()), fuzz.Author(dice)
        return [mutator.payload() for _ in range(50)] + [author.program() for _ in range(50)]

    assert written(3) == written(3)
    assert written(3) != written(4)
