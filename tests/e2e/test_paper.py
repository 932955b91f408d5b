"""The paper's tasks: exact answers, whatever the models do wrong on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paper import browse, codeqa, niah, oolong
from tests.paper.task import Task, run

MAKERS = {
    "S-NIAH": niah.task,
    "OOLONG": oolong.counting,
    "OOLONG-Pairs": oolong.pairs,
    "BrowseComp": browse.task,
    "CodeQA": codeqa.task,
}
SIZES = (8_192, 131_072)
LARGE = (1_048_576, 10_000_000)


def made(name: str, tokens: int, seed: int = 0) -> Task:
    return MAKERS[name](tokens, seed)


@pytest.mark.parametrize("tokens", SIZES)
@pytest.mark.parametrize("name", MAKERS)
def test_every_task_is_answered_exactly(name: str, tokens: int, tmp_path: Path) -> None:
    measured = run(made(name, tokens), tmp_path)
    assert measured.exact, (measured.result.answer[:200], measured.task.gold)
    assert measured.score == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("tokens", LARGE)
@pytest.mark.parametrize("name", MAKERS)
def test_every_large_task_is_answered_exactly(name: str, tokens: int, tmp_path: Path) -> None:
    assert run(made(name, tokens), tmp_path, limits=None).exact


@pytest.mark.parametrize("name", MAKERS)
def test_calls_that_fail_and_models_that_stumble_cost_no_answer(name: str, tmp_path: Path) -> None:
    task = made(name, 32_768, seed=3)
    measured = run(task, tmp_path, failures=0.2, stumbles=0.6)
    assert measured.exact
    assert measured.result.usage.steps > len(task.program)  # it did stumble


@pytest.mark.parametrize("seed", range(3))
def test_replies_beside_the_point_are_noticed_and_asked_again(seed: int, tmp_path: Path) -> None:
    assert run(made("OOLONG", 131_072, seed), tmp_path, mistakes=0.15).exact
    assert run(made("BrowseComp", 131_072, seed), tmp_path, mistakes=0.15).exact


def test_a_reader_that_is_mostly_wrong_shows_in_the_score(tmp_path: Path) -> None:
    measured = run(made("OOLONG", 131_072), tmp_path, mistakes=0.9)
    assert measured.score < 0.5


def test_a_needle_costs_no_subcall_whatever_the_size(tmp_path: Path) -> None:
    for tokens in SIZES:
        measured = run(made("S-NIAH", tokens), tmp_path)
        assert (measured.result.usage.subcalls, measured.result.usage.steps) == (0, 2)


def test_a_hundred_thousand_pairs_come_out_of_a_variable(tmp_path: Path) -> None:
    task = oolong.pairs(131_072, users=460)
    assert len(task.gold) > 100_000
    measured = run(task, tmp_path)
    assert measured.exact
    assert isinstance(measured.result.value, list)
    assert measured.result.value[0] == task.gold[0]
