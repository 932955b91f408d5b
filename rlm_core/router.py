"""Which way to an answer: small contexts go to the model whole, larger ones to an RLM."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_core.calls import CancelScope
from rlm_core.config import Options
from rlm_core.conversation import EMPTY_REPLY
from rlm_core.errors import AnswerMistyped, ConfigError
from rlm_core.models import model_name
from rlm_core.policy import Policy
from rlm_core.prompts import BASE_SYSTEM_PROMPT
from rlm_core.provider import Providers
from rlm_core.rlm import RLM, answer_of, answer_type
from rlm_core.routes import ExecutionProfile, RouterResult
from rlm_core.stimuli import Value
from rlm_core.straight import asked_once
from rlm_core.trace import Trace, TraceStep
from rlm_core.trace_format import TraceFormatter
from rlm_core.typed import Mistyped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.answer_type import AnswerType
    from rlm_core.context import Context
    from rlm_core.ledger import Ledger

__all__ = ["ExecutionProfile", "RouterConfig", "RouterResult", "SmartRouter", "TraceFormatter"]

BASELINE_SYSTEM_PROMPT = "You answer questions about a text, briefly and from the text alone."
BASELINE_PROMPT = (
    "Answer from this context alone. Reply NO_ANSWER when it does not hold the answer.\n\n"
    "Context:\n{context}\n\nQuestion:\n{query}\n\nAnswer:"
)
BASELINE_TYPE = """

The answer must be of this type: {shown}
Reply with it alone, as JSON."""
BASELINE_ATTEMPTS = 2
"""Calls for an answer of a type: one that is told what was wrong, after the first."""

PROFILES: dict[ExecutionProfile, Options] = {
    ExecutionProfile.DETERMINISTIC_FIRST: {"fallback_guard_steps": 1},
    ExecutionProfile.SEMANTIC_BATCHES: {
        "require_subcall_before_final": True,
        "subcall_guard_steps": 2,
        "parallel_subcalls": True,
        "max_concurrent_subcalls": 8,
    },
    ExecutionProfile.HYBRID: {
        "fallback_guard_steps": 2,
        "repl_error_limit": 2,
        "parallel_subcalls": True,
    },
    ExecutionProfile.VERIFY: {
        "fallback_guard_steps": 1,
        "recursive_subcalls": True,
        "max_recursion_depth": 2,
    },
}
_EVERY_PROFILE: Options = {"require_repl_before_final": True, "invalid_response_limit": 2}


@dataclass(frozen=True)
class RouterConfig:
    """When to take which way."""

    baseline_threshold: int = 8000
    """Contexts of fewer characters go to the model whole."""
    default_profile: ExecutionProfile = ExecutionProfile.DETERMINISTIC_FIRST
    baseline_max_tokens: int = 512
    baseline_system_prompt: str | None = None
    auto_calibrate: bool = False
    """Accepted for the sake of older programs; it has no effect."""


class SmartRouter:
    """Answers questions by the cheaper way that will do.

    >>> router = SmartRouter(adapter, config=RouterConfig(baseline_threshold=8000))
    >>> result = router.run(query, context)

    `rlm_extra_kwargs` are options of `RLM` that win over those of the profile.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        *,
        subcall_adapter: ModelAdapter | None = None,
        config: RouterConfig | None = None,
        policy: Policy | None = None,
        system_prompt: str | None = None,
        fallback_code: str | None = None,
        auto_finalize_var: str | None = None,
        auto_finalize_reject_patterns: Sequence[str] | None = None,
        rlm_extra_kwargs: dict[str, Any] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.adapter = adapter
        self.config = config or RouterConfig()
        self.policy = policy or Policy()
        self.system_prompt = system_prompt
        self.logger = logger or logging.getLogger("rlm_core")
        self._options: Options = {
            "policy": self.policy,
            "subcall_adapter": subcall_adapter,
            "system_prompt": system_prompt or BASE_SYSTEM_PROMPT,
            "fallback_code": fallback_code,
            "auto_finalize_var": auto_finalize_var,
            "auto_finalize_reject_patterns": auto_finalize_reject_patterns,
            "logger": self.logger,
        }
        self._extra = dict(rlm_extra_kwargs or {})
        limits: Any = self._extra.get("provider_limits")
        self._providers = limits if isinstance(limits, Providers) else Providers(limits)
        self._extra["provider_limits"] = self._providers  # for all runs together

    def run(
        self,
        query: str,
        context: Context,
        *,
        profile: ExecutionProfile | None = None,
        force_method: str | None = None,
        output: object = None,
    ) -> RouterResult:
        """The answer. `force_method` is "baseline" or "rlm"; `output` is a type as for `RLM.run`.

        Raises what `RLM.run` raises.
        """
        profile = profile or self.config.default_profile
        method = force_method or self._method_for(context)
        self.logger.debug("router method=%s profile=%s", method, profile.value)
        started = time.monotonic()
        match method:
            case "baseline":
                text, value, trace = self._baseline(query, context, output)
            case "rlm":
                text, value, trace = self._rlm(query, context, output, profile)
            case _:
                raise ConfigError(f"force_method must be 'baseline' or 'rlm', not {method!r}")
        return RouterResult(
            output=text,
            trace=trace,
            method=method,
            profile=profile,
            context_chars=context.len_chars(),
            tokens_used=trace.total_tokens(),
            elapsed=time.monotonic() - started,
            value=value,
        )

    def options_for(self, profile: ExecutionProfile) -> Options:
        """The options of `RLM` for a profile: the extra ones win."""
        merged: dict[str, Any] = {
            **self._options,
            **_EVERY_PROFILE,
            **PROFILES[profile],
            **self._extra,
        }
        return merged  # ty: ignore[invalid-explicit-return]

    def _method_for(self, context: Context) -> str:
        return "baseline" if context.len_chars() < self.config.baseline_threshold else "rlm"

    def _rlm(
        self, query: str, context: Context, output: object, profile: ExecutionProfile
    ) -> tuple[str, object, Trace]:
        result = RLM(self.adapter, **self.options_for(profile)).run_result(
            query, context, output=output
        )
        value, trace = answer_of(result, output)
        return result.answer, None if output is None else value, trace

    def _baseline(self, query: str, context: Context, output: object) -> tuple[str, object, Trace]:
        """One call with the whole context, on a ledger of its own; two for a mistyped answer.

        Raises PolicyError, AnswerMistyped, and what the adapter raises.
        """
        kind = None if output is None else answer_type(output)
        ledger, trace = self.policy.open(), Trace([])
        messages = self._baseline_messages(query, context, kind)
        for _ in range(1 if kind is None else BASELINE_ATTEMPTS):
            text = self._asked(query, messages, ledger, trace)
            read = None if kind is None else kind.read(Value(text))
            if not isinstance(read, Mistyped):
                return text, None if read is None else read.value, trace
            messages += [
                {"role": "assistant", "content": text or EMPTY_REPLY},
                {"role": "user", "content": read.error},
            ]
        raise AnswerMistyped(
            f"the model did not answer with the type {output!r}: ask for a simpler one, or "
            "force_method='rlm', where it can build the answer by code"
        )

    def _baseline_messages(
        self, query: str, context: Context, kind: AnswerType | None
    ) -> list[dict[str, str]]:
        system = self.config.baseline_system_prompt or self.system_prompt or BASELINE_SYSTEM_PROMPT
        if kind is not None:
            system += BASELINE_TYPE.format(shown=kind.shown)
        prompt = BASELINE_PROMPT.format(context=context.text, query=query)
        return [{"role": "system", "content": system}, {"role": "user", "content": prompt}]

    def _asked(
        self, query: str, messages: list[dict[str, str]], ledger: Ledger, trace: Trace
    ) -> str:
        started = time.monotonic()
        reply = asked_once(
            self.adapter,
            [dict(message) for message in messages],
            self.config.baseline_max_tokens,
            ledger=ledger,
            gate=self._providers.gate(model_name(self.adapter)),
            scope=CancelScope(),
        )
        trace.add(
            TraceStep(
                step_id=len(trace.steps) + 1,
                kind="baseline_call",
                depth=0,
                prompt_summary=f"Baseline query: {query[:100]}",
                output=reply.text,
                usage=reply.usage,
                model=reply.model_id,
                elapsed=time.monotonic() - started,
            )
        )
        return reply.text.strip()
