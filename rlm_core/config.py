"""The options of `RLM`, taken apart by what they are for, each group a frozen dataclass."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rlm_core import prompts
from rlm_core.errors import ConfigError
from rlm_core.foreign_options import in_our_words
from rlm_core.options import Options
from rlm_core.policy import Policy
from rlm_core.rules import AutoFinalize, Compaction, EpisodeRules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from rlm_core.tools import Tool
    from rlm_sandbox import Limits, Sandbox, SandboxPool

__all__ = [
    "Config",
    "Options",
    "SandboxOptions",
    "SubcallOptions",
    "TraceOptions",
    "configure",
]

MODEL_WINDOW = 128_000
"""Tokens that a model takes at once, unless the caller says otherwise."""


@dataclass(frozen=True)
class SubcallOptions:
    """How the host answers llm_query and its kin."""

    system_prompt: str = prompts.SUBCALL_SYSTEM_PROMPT
    max_tokens: int = 256
    parallel: bool = False
    """Whether llm_query_batch and ask_chunks run concurrently unasked; llm_batch always does."""
    max_concurrent: int = 10
    """Calls of sub-models in flight at once, over the whole run."""
    recursive: bool = False
    """Whether a subcall is an episode of its own, in a sandbox of its own."""
    max_depth: int = 2
    recursive_system_prompt: str = prompts.RECURSIVE_SUBCALL_SYSTEM_PROMPT
    recursive_max_steps: int = 3
    recursive_state: Literal["fresh", "fork"] = "fresh"
    """What its session begins with: nothing, or a fork of the asking one, as it was before the step
    that asks. The two share a control group and `/tmp`, but no memory (`Sandbox.fork`)."""

    def deepest(self, policy: Policy) -> int:
        """The deepest subcall that is allowed; above it, recursive subcalls are episodes."""
        if not self.recursive:
            return policy.max_recursion_depth
        return max(self.max_depth, policy.max_recursion_depth)


@dataclass(frozen=True)
class SandboxOptions:
    """What every sandbox of the run is opened with; see `rlm_sandbox.Sandbox`."""

    limits: Limits | None = None
    isolation: str = "auto"
    imports: str | Collection[str] = "safe"
    packages: Sequence[str] = ()
    pool: SandboxPool | None = None
    """Where they are taken from, if they are to stand ready: its options count, then."""

    def open(self, functions: Mapping[str, Callable[..., object]], *, nested: bool) -> Sandbox:
        """A sandbox with these host functions. Raises SandboxError.

        A nested one, which the run needs while it holds others, waits for none of the pool's.
        """
        if self.pool is not None:
            return self.pool.beside(functions) if nested else self.pool.checkout(functions)
        from rlm_core import prelude
        from rlm_sandbox import Sandbox

        return Sandbox(
            limits=self.limits,
            functions=functions,
            imports=self.imports,
            isolation=self.isolation,
            packages=self.packages,
            modules=prelude.helper_modules(),
        )


@dataclass(frozen=True)
class TraceOptions:
    """Where the trace is written while the run goes on, and how long its texts may be."""

    path: Path | str | None = None
    redact_content: bool = False
    """Leave out of the file what texts say; such a trace can be shown, and not be replayed."""
    secrets: tuple[str, ...] = ()
    """Texts to hide in the file, beside those that `rlm_core.redaction` finds by itself."""
    code_chars: int = 2000
    output_chars: int = 1000
    prompt_chars: int = 2000


@dataclass(frozen=True)
class Config:
    """All options of a run."""

    policy: Policy = field(default_factory=Policy)
    rules: EpisodeRules = field(default_factory=EpisodeRules)
    subcalls: SubcallOptions = field(default_factory=SubcallOptions)
    sandbox: SandboxOptions = field(default_factory=SandboxOptions)
    trace: TraceOptions = field(default_factory=TraceOptions)
    diagnostics: bool = False
    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    """Further host functions for the code, by name."""
    extensions: Callable[..., Mapping[str, object] | None] | None = None
    """Makes further functions and values: called with rlm, repl, retriever (None) and log_diag."""
    tools: tuple[Tool, ...] = ()
    """Functions that are described to the model, and whose arguments are checked."""
    seed: int | None = None
    """Seed of `random` in the sessions; None draws one, which the trace names."""


def configure(options: Options) -> Config:
    """The options, grouped and checked. Raises ConfigError, or TypeError for an unknown name."""
    options = in_our_words(options, Options.__annotations__)
    policy = options.get("policy") or Policy()
    tools = _tools(options)
    _require_free_names(tools, options.get("functions", {}))
    return Config(
        policy=policy,
        rules=_rules(options, policy, tools),
        subcalls=_subcalls(options, tools),
        tools=tools,
        seed=options.get("seed"),
        sandbox=_sandbox(options),
        trace=TraceOptions(
            path=options.get("trace_path"),
            redact_content=options.get("redact_content", False),
            secrets=tuple(options.get("secrets", ())),
            code_chars=options.get("log_truncate_code", 2000),
            output_chars=options.get("log_truncate_output", 1000),
            prompt_chars=options.get("log_truncate_prompt_summary", 2000),
        ),
        diagnostics=options.get("rlm_diagnostics", False),
        functions=options.get("functions", {}),
        extensions=options.get("repl_extensions"),
    )


def _sandbox(options: Options) -> SandboxOptions:
    """Raises ConfigError for options that the pool has settled."""
    pool = options.get("pool")
    settled = [name for name in ("limits", "isolation", "imports", "packages") if name in options]
    if pool is not None and settled:
        raise ConfigError(
            f"the sandboxes of a pool have its {settled[0]}: give {settled[0]}= to SandboxPool, "
            "not to RLM"
        )
    return SandboxOptions(
        limits=options.get("limits"),
        isolation=options.get("isolation", "auto"),
        imports=options.get("imports", "safe"),
        packages=options.get("packages", ()),
        pool=pool,
    )


def _rules(options: Options, policy: Policy, tools: Sequence[Tool]) -> EpisodeRules:
    base = options.get("system_prompt", prompts.BASE_SYSTEM_PROMPT)
    supplement = options.get("system_prompt_supplement", "") + _prompt_of(tools)
    return EpisodeRules(
        system_prompt=prompts.build_system_prompt(base, supplement=supplement),
        max_steps=policy.max_steps,
        max_tokens=options.get("max_tokens", 512),
        conversation_history=options.get("conversation_history", True),
        max_history_tokens=options.get("max_history_tokens", 0),
        min_steps=options.get("min_steps", 0),
        require_repl_before_final=options.get("require_repl_before_final", False),
        require_subcall_before_final=options.get("require_subcall_before_final", False),
        auto_finalize=_auto_finalize(options),
        fallback_code=options.get("fallback_code") or None,
        invalid_response_limit=options.get("invalid_response_limit"),
        repl_error_limit=options.get("repl_error_limit"),
        subcall_guard_steps=options.get("subcall_guard_steps"),
        fallback_guard_steps=options.get("fallback_guard_steps"),
        collapse_limit=options.get("loop_collapse_limit", 5) or sys.maxsize,
        compaction=_compaction(options),
    )


def _compaction(options: Options) -> Compaction | None:
    by = options.get("compaction", "rule")
    if by is None:
        return None
    if by not in {"rule", "model"}:
        raise ConfigError(f"compaction must be 'rule', 'model' or None, not {by!r}")
    share = options.get("compaction_share", 0.6)
    if not 0 < share < 1:
        raise ConfigError(f"compaction_share is a share of the window, between 0 and 1: {share}")
    window = options.get("model_window", MODEL_WINDOW)
    return Compaction("rule" if by == "rule" else "model", int(window * share))


def _auto_finalize(options: Options) -> AutoFinalize | None:
    variable = options.get("auto_finalize_var")
    if variable is None or not variable:
        return None
    return AutoFinalize(
        variable=variable,
        min_length=options.get("auto_finalize_min_length", 0),
        reject_patterns=tuple(options.get("auto_finalize_reject_patterns") or ()),
        reject_limit=options.get("auto_finalize_reject_limit", 3),
        reject_feedback=options.get("auto_finalize_reject_feedback"),
    )


def _subcalls(options: Options, tools: Sequence[Tool]) -> SubcallOptions:
    concurrent = options.get("max_concurrent_subcalls", 10)
    if concurrent < 1:
        raise ConfigError(f"max_concurrent_subcalls must be at least 1, not {concurrent}")
    state = options.get("recursive_subcall_state", "fresh")
    if state not in {"fresh", "fork"}:
        raise ConfigError(f"recursive_subcall_state must be 'fresh' or 'fork', not {state!r}")
    return SubcallOptions(
        system_prompt=options.get("subcall_system_prompt", prompts.SUBCALL_SYSTEM_PROMPT),
        max_tokens=options.get("subcall_max_tokens", 256),
        parallel=options.get("parallel_subcalls", False),
        max_concurrent=concurrent,
        recursive=options.get("recursive_subcalls", False),
        max_depth=options.get("max_recursion_depth", 2),
        recursive_system_prompt=options.get(
            "recursive_subcall_system_prompt", prompts.RECURSIVE_SUBCALL_SYSTEM_PROMPT
        )
        + _prompt_of(tools),
        recursive_max_steps=options.get("recursive_subcall_max_steps", 3),
        recursive_state="fork" if state == "fork" else "fresh",
    )


def _tools(options: Options) -> tuple[Tool, ...]:
    given = options.get("tools")
    if given is None:
        return ()
    from rlm_core.tools import tools_of

    return tools_of(given)


def _prompt_of(tools: Sequence[Tool]) -> str:
    if not tools:
        return ""
    from rlm_core.tools import prompt_of

    return prompt_of(tools)


def _require_free_names(tools: Sequence[Tool], functions: Mapping[str, object]) -> None:
    """Raises ConfigError for a tool that would hide, or be hidden by, something else."""
    if not tools:
        return
    from rlm_core import prelude

    taken = sorted({tool.name for tool in tools} & (prelude.names() | functions.keys()))
    if taken:
        raise ConfigError(
            f"{', '.join(taken)} is the name of something else in the session: give the tool "
            "another one, as tools={'other_name': function}"
        )
