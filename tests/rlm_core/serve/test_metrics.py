from __future__ import annotations

from rlm_core.adapters.base import Usage
from rlm_core.serve.answer import Spent
from rlm_core.serve.lane import Lane
from rlm_core.serve.metrics import Metrics


def test_what_was_spent_is_told_by_profile_and_part() -> None:
    metrics = Metrics([Lane("recursive", turns=3, places=1)])
    spent = Spent(Usage(10, 2, 12), Usage(5, 1, 6), cost=0.25, steps=2, subcalls=1)
    metrics.spent("fast", spent)
    metrics.spent("fast", spent)
    lines = metrics.text().splitlines()
    assert 'rlm_tokens_total{model="fast",part="root",kind="prompt"} 20' in lines
    assert 'rlm_tokens_total{model="fast",part="sub",kind="completion"} 2' in lines
    assert 'rlm_cost_total{model="fast"} 0.5' in lines
    assert 'rlm_steps_total{model="fast"} 4' in lines
    assert 'rlm_subcalls_total{model="fast"} 2' in lines


def test_what_is_under_way_is_told_as_it_is_now() -> None:
    lane = Lane("recursive", turns=3, places=1)
    metrics = Metrics([lane])
    lane.running = 2
    lines = metrics.text().splitlines()
    assert 'rlm_running{lane="recursive"} 2' in lines
    assert 'rlm_queued{lane="recursive"} 0' in lines
    assert 'rlm_turns{lane="recursive"} 3' in lines
    own = ("process_open_fds ", "process_resident_memory_bytes ", "rlm_workers ")
    assert all(any(line.startswith(name) for line in lines) for name in own)
