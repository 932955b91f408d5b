"""Without any model: a question whose answer stands in the text in similar words is answered."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rlm_core import RLM, Context, Ending, FileCache, Policy, RunStatus
from rlm_core.adapters import OfflineAdapter

FACT = "By order of the council, the passphrase of the northern lighthouse is heron-42."
QUESTION = "What's the passphrase for the lighthouse in the north?"


@pytest.fixture
def rlm(tmp_path: Path) -> RLM:
    return RLM(OfflineAdapter(), cache_dir=tmp_path)


def hay(characters: int) -> list[str]:
    """Lines of words, some of them the question's."""
    chance = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(4_000)]
    words += ["passphrase", "lighthouse", "northern", "council", "order"]
    lines = [" ".join(chance.choices(words, k=14)) for _ in range(10_000)]
    length = sum(map(len, lines)) + len(lines)
    return lines * (characters // length + 1)


def test_it_finds_the_sentence_and_says_where(rlm: RLM) -> None:
    lines = hay(1_000_000)
    lines[6_000] = FACT
    result = rlm.run_result(QUESTION, Context.from_text("\n".join(lines)))
    assert result.answer == "heron-42\n(found in line 6001)"
    assert (result.status, result.ending) == (RunStatus.ANSWERED, Ending.FINAL_VAR)
    assert 1 <= result.usage.subcalls <= 8


def test_it_finds_the_document(rlm: RLM) -> None:
    lines = hay(1_000_000)
    documents = ["\n".join(lines[start : start + 100]) for start in range(0, 10_000, 100)]
    documents[70] += "\n" + FACT
    result = rlm.run_result(QUESTION, Context.from_documents(documents))
    assert result.answer == "heron-42\n(found in document 70, line 101)"


def test_it_finds_it_in_the_python_standard_library(rlm: RLM) -> None:
    files = sorted(str(path) for path in Path(os.__file__).parent.glob("*.py"))
    result = rlm.run_result("Which port does IMAP4 over SSL use?", Context.from_paths(files))
    assert result.answer.startswith("993\n(found in ")
    assert "imaplib.py, line " in result.answer


def test_it_answers_without_a_single_subcall_too(tmp_path: Path) -> None:
    rlm = RLM(OfflineAdapter(), cache=FileCache(tmp_path), policy=Policy(max_subcalls=0))
    lines = hay(100_000)
    lines[5_000] = FACT
    result = rlm.run_result(QUESTION, Context.from_text("\n".join(lines)))
    assert result.answer == f"{FACT}\n(found in line 5001)"
    assert result.usage.subcalls == 0


def test_it_says_so_when_nothing_answers(rlm: RLM) -> None:
    result = rlm.run_result(QUESTION, Context.from_text("lorem ipsum dolor sit amet\n" * 1_000))
    assert result.answer == "No passage of the text answers this question."


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_it_finds_it_in_100_megabytes(rlm: RLM, share: float) -> None:
    lines = hay(100_000_000)
    place = int(len(lines) * share)
    lines[place] = FACT
    text = "\n".join(lines)
    assert len(text) > 100_000_000
    result = rlm.run_result(QUESTION, Context.from_text(text))
    assert result.answer == f"heron-42\n(found in line {place + 1})"


@pytest.mark.slow
def test_it_finds_it_in_100_megabytes_of_another_script(rlm: RLM) -> None:
    line = "\u5929\u5730\u7384\u9ec4\u5b87\u5b99\u6d2a\u8352\u3002" * 8
    lines = [line] * (100_000_000 // (3 * len(line)))
    lines[len(lines) // 3] = "\u4fdd\u9669\u5e93\u7684\u8bbf\u95ee\u4ee3\u7801\u662f7319\u3002"
    question = "\u8bbf\u95ee\u4ee3\u7801\u662f\u4ec0\u4e48\uff1f"
    result = rlm.run_result(question, Context.from_text("\n".join(lines)))
    assert "7319" in result.answer
