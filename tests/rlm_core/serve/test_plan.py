from __future__ import annotations

import json
from typing import Any

from rlm_core.adapters.fake import FakeAdapter
from rlm_core.serve.account import Hold
from rlm_core.serve.plan import Plan
from rlm_core.serve.profile import Profile
from rlm_core.serve.request import read_request
from rlm_core.serve.upstream import Upstream


def plan_for(**more: Any) -> Plan:
    messages = [{"role": "user", "content": "hi"}]
    request = read_request(json.dumps({"model": "m", "messages": messages, **more}).encode())
    profile = Profile(model="m", max_seconds=50.0, max_total_tokens=1000)
    return Plan.of(request, "fast", profile, Upstream(FakeAdapter(), None), 100.0)


def test_the_deadline_is_the_shortest_of_all() -> None:
    assert plan_for().seconds == 50.0
    assert plan_for(rlm={"max_seconds": 5}).seconds == 5.0
    within = plan_for().within(Hold(None, None), 20.0)
    assert within.seconds == within.policy.max_seconds == 20.0


def test_a_run_may_use_what_its_key_has_left() -> None:
    policy = plan_for().within(Hold(300, 0.5), 20.0).policy
    assert (policy.max_total_tokens, policy.max_cost) == (300, 0.5)


def test_the_tokens_of_the_answer_are_counted_in_characters() -> None:
    assert plan_for(max_tokens=10).most_chars == 40
    assert plan_for().most_chars is None
