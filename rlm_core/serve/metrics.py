"""What this server tells of itself at /metrics. Labels are names of its own, never a client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from rlm_core.serve.instruments import Counter, Gauge, Histogram, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.serve.answer import Spent
    from rlm_core.serve.lane import Lane


class Metrics:
    """Counts requests, tokens, money and seconds. For one event loop."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._process = psutil.Process()
        self.inside = 0
        self.requests = Counter(
            "rlm_requests_total", "Requests that ended, by HTTP status.", ("model", "way", "status")
        )
        self.problems = Counter(
            "rlm_problems_total", "Requests without an answer, by code.", ("code",)
        )
        self.gone = Counter("rlm_clients_gone_total", "Clients that went away before their answer.")
        self.seconds = Histogram("rlm_request_seconds", "From request to answer.", ("way",))
        self.queue_seconds = Histogram("rlm_queue_seconds", "Spent in the queue.", ("lane",))
        self.tokens = Counter(
            "rlm_tokens_total",
            "Tokens of models: of the root model, or of sub-models.",
            ("model", "part", "kind"),
        )
        self.cost = Counter("rlm_cost_total", "In the currency of the profiles.", ("model",))
        self.steps = Counter("rlm_steps_total", "Replies of root models.", ("model",))
        self.subcalls = Counter("rlm_subcalls_total", "Calls of sub-models.", ("model",))
        self._gauges = (
            Gauge("rlm_running", "Requests under way.", "lane", self._running),
            Gauge("rlm_queued", "Requests that wait for a turn.", "lane", self._queued),
            Gauge("rlm_turns", "Requests that may be under way at once.", "lane", self._turns),
            Gauge("rlm_inside", "Requests that are here in all.", "", self._inside),
            Gauge("rlm_workers", "Processes below this server.", "", self._workers),
            Gauge("process_resident_memory_bytes", "Memory of this server.", "", self._memory),
            Gauge("process_open_fds", "Open descriptors.", "", self._descriptors),
        )

    def spent(self, model: str, spent: Spent) -> None:
        """Count what a request used, answered or not."""
        for part, usage in (("root", spent.root), ("sub", spent.sub)):
            self.tokens.add(model, part, "prompt", amount=usage.prompt_tokens)
            self.tokens.add(model, part, "completion", amount=usage.completion_tokens)
        self.cost.add(model, amount=spent.cost)
        self.steps.add(model, amount=spent.steps)
        self.subcalls.add(model, amount=spent.subcalls)

    def text(self) -> str:
        """Everything, in the format of Prometheus."""
        counted = (self.requests, self.problems, self.gone, self.seconds, self.queue_seconds)
        used = (self.tokens, self.cost, self.steps, self.subcalls)
        return text_of((*counted, *used, *self._gauges))

    def _running(self) -> dict[str, float]:
        return {lane.name: lane.running for lane in self._lanes}

    def _queued(self) -> dict[str, float]:
        return {lane.name: lane.queued for lane in self._lanes}

    def _turns(self) -> dict[str, float]:
        return {lane.name: lane.turns for lane in self._lanes}

    def _inside(self) -> dict[str, float]:
        return {"": self.inside}

    def _workers(self) -> dict[str, float]:
        return {"": len(self._process.children(recursive=True))}

    def _memory(self) -> dict[str, float]:
        return {"": self._process.memory_info().rss}

    def _descriptors(self) -> dict[str, float]:
        return {"": self._process.num_fds()}
