"""One request on its way; see also test_subcalls.py, which asks through the host functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.answering import Answering as AnswersRequests
from rlm_core.errors import RunCancelled
from rlm_core.policy import MaxTokensExceeded, Policy
from rlm_core.requests import Request, request_of
from tests.rlm_core.test_subcalls import Host, no_episodes


def answering(host: Host) -> AnswersRequests:
    return AnswersRequests(host.tree, level=0, parent_id=None, scope=host.scope, nest=no_episodes)


def request(prompt: str) -> Request:
    return request_of(prompt, {}, level=0, max_tokens=100)


def test_a_call_holds_its_budget_from_take_off_to_landing(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        answers = answering(host)
        flight = answers.take_off(answers.ask(request("a")))
        assert host.tree.ledger.used().held.tokens > 100
        assert answers.landed(flight, answers.call(flight)) == "A"
        assert host.tree.ledger.used().held.tokens == 0
        assert answers.answered == 1


def test_what_others_hold_is_waited_for_or_not_and_what_can_never_fit_is_refused(
    tmp_path: Path,
) -> None:
    with Host(tmp_path, policy=Policy(max_total_tokens=300)) as host:
        answers = answering(host)
        first = answers.take_off(answers.ask(request("a")))
        assert answers.take_off_if_it_fits(answers.ask(request("b" * 500))) is None
        with pytest.raises(MaxTokensExceeded):
            answers.take_off_if_it_fits(answers.ask(request("c" * 5_000)))
        answers.failed(first, LookupError("no luck"))
        assert answers.take_off_if_it_fits(answers.ask(request("b" * 500))) is not None


def test_in_a_stopped_run_nothing_takes_off(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        answers = answering(host)
        asked = answers.ask(request("a"))
        host.scope.cancel()
        with pytest.raises(RunCancelled):
            answers.take_off(asked)
        with pytest.raises(RunCancelled):
            answers.ask(request("a"))
        assert host.tree.ledger.used().held.tokens == 0
