"""Measurements in turns: what is compared, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scripts.benches.samples import Series, added, interleaved, ratio, spread


class Side:
    """Notes when it was asked, and gives a value of its own."""

    def __init__(self, name: str, value: float, asked: list[str]) -> None:
        self._name, self._value, self._asked = name, value, asked

    def __call__(self) -> Sequence[float]:
        self._asked.append(self._name)
        return [self._value]


def series(*rounds: float) -> Series:
    return Series(tuple((value,) for value in rounds))


def test_sides_are_measured_in_turns_and_the_warm_up_is_thrown_away() -> None:
    asked: list[str] = []
    taken = interleaved({"a": Side("a", 1.0, asked), "b": Side("b", 2.0, asked)}, 3, warmup=1)
    assert "".join(asked) == "abababab"
    assert taken["a"].rounds == ((1.0,), (1.0,), (1.0,))
    assert taken["b"].median == 2.0


def test_a_side_that_has_used_its_patience_sits_the_later_rounds_out() -> None:
    asked: list[str] = []
    sides = {"quick": Side("q", 1.0, asked), "slow": Side("s", 1.0, asked)}
    taken = interleaved(sides, 8, warmup=0, patience=-1.0)
    assert len(taken["slow"].rounds) == 2
    assert "".join(asked) == "qsqs"


def test_a_ratio_is_that_of_each_round_so_that_a_bad_round_moves_both_sides() -> None:
    ours, floor = series(2.0, 20.0, 2.2, 2.0, 1.8), series(1.0, 10.0, 1.1, 1.0, 0.9)
    found = ratio(ours, floor)
    assert found.median == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)


def test_rounds_that_one_side_sat_out_are_not_compared() -> None:
    assert ratio(series(4.0, 4.0, 4.0, 100.0), series(2.0, 2.0, 2.0)).median == 2.0


def test_the_more_the_ratios_differ_the_less_sure_is_their_median() -> None:
    calm, wild = spread([1.0, 1.01, 1.02, 1.03, 1.04]), spread([0.5, 0.8, 1.02, 1.3, 1.6])
    assert calm.median == wild.median == 1.02
    assert wild.low < calm.low < calm.median < calm.high < wild.high


def test_more_rounds_make_a_median_surer() -> None:
    few = spread([1.0, 2.0, 3.0])
    many = spread([1.0, 2.0, 3.0] * 20)
    assert many.high - many.low < few.high - few.low


def test_the_p99_is_a_value_that_was_measured() -> None:
    values = Series((tuple(float(number) for number in range(1, 101)),))
    assert values.percentile(0.99) == 99.0
    assert values.percentile(1.0) == 100.0
    assert values.percentile(0.0) == 1.0


def test_parts_that_were_measured_apart_are_added_value_by_value() -> None:
    whole = added(Series(((1.0, 2.0), (3.0,))), Series(((10.0, 20.0), (30.0,))))
    assert whole.rounds == ((11.0, 22.0), (33.0,))
