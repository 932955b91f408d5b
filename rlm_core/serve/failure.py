"""What went wrong inside, as what a client is told of it: never an address, a path or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_core.adapters.errors import ModelError, ModelTimeout, RateLimited, RequestRefused
from rlm_core.errors import ConfigError, ContextError, RunCancelled
from rlm_core.policy import MaxSecondsExceeded, PolicyError
from rlm_core.serve.problem import (
    BadRequest,
    Busy,
    Closing,
    Failed,
    NoAnswer,
    Problem,
    TookTooLong,
    UpstreamFailed,
)
from rlm_core.stimuli import Ending
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from typing import Any

    from rlm_core.run import RunResult

UPSTREAM_RETRY_SECONDS = 5.0
_REMEDY = {
    Ending.MAX_STEPS: "allow more with rlm.max_steps, or ask for less at once",
    Ending.MAX_TOKENS: "allow more with rlm.max_total_tokens, or ask for less at once",
    Ending.MAX_COST: "allow more with rlm.max_cost, or ask for less at once",
}


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error; what this program did wrong is `Failed`."""
    match error:
        case Problem():
            return error
        case ConfigError() | ContextError():
            return BadRequest(str(error))
        case MaxSecondsExceeded() | TimeoutError() if not isinstance(error, ModelError):
            return TookTooLong("the deadline is over: allow more time, or ask for less at once")
        case PolicyError():
            return NoAnswer(f"a limit was reached before there was an answer ({error})")
        case RunCancelled():
            return Closing("this server is about to end; the run was stopped", retry_after=1.0)
        case ModelError():
            return _upstream_problem(error)
        case SandboxError():
            return Failed("this server cannot run code now", code="sandbox_failed")
    return Failed("an internal error; the server's log says more under the request's id")


def no_answer(result: RunResult[Any]) -> Problem:
    """A run that was stopped without an answer."""
    if result.ending is Ending.MAX_SECONDS:
        return TookTooLong("the deadline came before an answer: allow more time (rlm.max_seconds)")
    remedy = _REMEDY.get(result.ending, "ask in other words, or choose another model")
    return NoAnswer(f"the run was stopped ({result.ending}) before it had an answer: {remedy}")


def _upstream_problem(error: ModelError) -> Problem:
    match error:
        case RateLimited():
            return Busy(
                "the model behind this server takes no more requests now: come again later",
                code="upstream_rate_limited",
                retry_after=UPSTREAM_RETRY_SECONDS,
            )
        case ModelTimeout():
            return TookTooLong(
                "the model behind this server took too long", code="upstream_timeout"
            )
        case RequestRefused(status=400 | 413 | 422):
            return UpstreamFailed(
                "the model behind this server refused the request: it may be too long for it, or "
                "of a kind that it does not take",
                code="upstream_refused",
            )
    return UpstreamFailed("the model behind this server did not answer")
