"""A short chat goes straight to the model: one call, on the same ledger and gates as a run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.calls import call_model
from rlm_core.conversation import tokens_in
from rlm_core.driver import limit_of
from rlm_core.errors import RunCancelled
from rlm_core.models import model_name
from rlm_core.policy import PolicyError
from rlm_core.run import RunResult, RunUsage
from rlm_core.stimuli import NO_ANSWER, Ending, RunStatus
from rlm_core.trace import Trace, TraceStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.calls import CancelScope
    from rlm_core.ledger import Ledger
    from rlm_core.policy import Policy
    from rlm_core.provider import ProviderGate, Providers
    from rlm_core.running import Running


@dataclass(frozen=True)
class StraightQuestion:
    """Messages for a model as they are: the work of a `Running`. No code runs.

    >>> Running(StraightQuestion(adapter, messages, 512, policy, Providers())).run_here().answer
    """

    adapter: ModelAdapter
    messages: Sequence[dict[str, str]]
    max_tokens: int
    policy: Policy
    providers: Providers

    def __call__(self, running: Running[RunResult[str]]) -> RunResult[str]:
        """Ask. Reached limits are data; raises what the adapter raises, and RunCancelled."""
        ledger = self.policy.open()
        started = time.monotonic()
        left = ledger.seconds_left()
        if left is not None:
            running.scope.expire_after(left)
        try:
            reply = asked_once(
                self.adapter,
                list(self.messages),
                self.max_tokens,
                ledger=ledger,
                gate=self.providers.gate(model_name(self.adapter)),
                scope=running.scope,
            )
        except PolicyError as error:
            return self._result(None, ledger, started, limit_of(error).ending)
        except RunCancelled:
            if not running.scope.expired:
                raise
            return self._result(None, ledger, started, Ending.MAX_SECONDS)
        finally:
            running.scope.close()
        return self._result(reply, ledger, started, Ending.FINAL)

    def _result(
        self, reply: ModelResponse | None, ledger: Ledger, started: float, ending: Ending
    ) -> RunResult[str]:
        seconds = time.monotonic() - started
        used = ledger.used()
        answered = reply is not None and bool(reply.text.strip())
        answer = reply.text if reply is not None and answered else NO_ANSWER
        step = TraceStep(
            step_id=1,
            kind="baseline_call",
            depth=0,
            prompt_summary=self.messages[-1]["content"][:100],
            output=answer,
            usage=None if reply is None else reply.usage,
            model=None if reply is None else reply.model_id,
            elapsed=seconds,
        )
        return RunResult(
            answer=answer,
            status=RunStatus.ANSWERED if answered else RunStatus.NO_ANSWER,
            ending=ending,
            usage=RunUsage.of(used, seconds),
            steps=used.steps,
            isolation="",
            trace=Trace([step]),
            value=answer if answered else None,
        )


def asked_once(
    adapter: ModelAdapter,
    messages: list[dict[str, str]],
    max_tokens: int,
    *,
    ledger: Ledger,
    gate: ProviderGate,
    scope: CancelScope,
) -> ModelResponse:
    """One call as a step of a ledger. Raises PolicyError, RunCancelled, what the adapter raises."""
    name = model_name(adapter)
    ledger.step()
    held = ledger.hold_for_root(tokens_in(messages), max_tokens, name)
    try:
        with gate.passing(scope):
            reply = call_model(adapter, messages, max_tokens, scope)
    except BaseException:
        ledger.give_back(held)
        raise
    ledger.settle(held, reply.usage, reply.model_id or name)
    return reply
