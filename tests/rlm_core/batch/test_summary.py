from __future__ import annotations

from typing import Any

import pytest

from rlm_core.batch.schedule import Why
from rlm_core.batch.summary import BatchSummary

FACTS: dict[str, Any] = {
    "told": "",
    "total": 3,
    "statuses": {"answered": 2, "failed": 1},
    "before": 0,
    "skipped": (),
    "skipped_count": 0,
    "tokens": 0,
    "cost": 0.0,
    "seconds": 1.0,
}


@pytest.mark.parametrize(
    ("why", "without_answer", "gone", "complete"),
    [
        (Why.DONE, 0, 0, True),
        (Why.DONE, 1, 0, False),
        (Why.DONE, 0, 1, False),
        (Why.INTERRUPTED, 0, 0, False),
    ],
)
def test_a_batch_is_complete_when_every_task_has_an_answer(
    why: Why, without_answer: int, gone: int, complete: bool
) -> None:
    summary = BatchSummary(why=why, without_answer=without_answer, gone=gone, **FACTS)
    assert summary.is_complete is complete
    assert summary.done == 3
