"""The keywords of `RLM`, by name and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.cache import FileCache
    from rlm_core.events import RLMEventListener
    from rlm_core.policy import Policy
    from rlm_core.provider import ProviderLimits, Providers
    from rlm_core.tools import Tool
    from rlm_sandbox import Limits, SandboxPool


class Options(TypedDict, total=False):
    """Every keyword that `RLM` takes; see the groups of `rlm_core.config` for what they mean."""

    policy: Policy | None
    cache: FileCache | None
    cache_dir: Path | str
    max_tokens: int
    system_prompt: str
    system_prompt_supplement: str
    subcall_system_prompt: str
    require_repl_before_final: bool
    require_subcall_before_final: bool
    auto_finalize_var: str | None
    auto_finalize_min_length: int
    auto_finalize_reject_patterns: Sequence[str] | None
    auto_finalize_reject_limit: int
    auto_finalize_reject_feedback: str | None
    logger: logging.Logger | None
    invalid_response_limit: int | None
    fallback_code: str | None
    repl_error_limit: int | None
    subcall_guard_steps: int | None
    fallback_guard_steps: int | None
    subcall_adapter: ModelAdapter | None
    sub_models: Mapping[str, ModelAdapter]
    provider_limits: Mapping[str, ProviderLimits] | Providers
    recursive_subcalls: bool
    max_recursion_depth: int
    recursive_subcall_system_prompt: str
    recursive_subcall_max_steps: int
    recursive_subcall_state: str
    parallel_subcalls: bool
    max_concurrent_subcalls: int
    subcall_max_tokens: int
    max_output_tokens: int
    subcall_max_output_tokens: int
    repl_exec_timeout: float | None
    recursion_impl: str
    repl_backend: str
    conversation_history: bool
    max_history_tokens: int
    min_steps: int
    loop_collapse_limit: int | None
    event_listener: RLMEventListener | None
    retriever: object
    doc_tools: object
    rlm_diagnostics: bool
    repl_extensions: Callable[..., Mapping[str, object] | None] | None
    functions: Mapping[str, Callable[..., object]]
    tools: Mapping[str, Callable[..., object]] | Iterable[Callable[..., object] | Tool]
    compaction: str | bool | None
    model_window: int
    compaction_share: float
    seed: int | None
    redact_content: bool
    secrets: Collection[str]
    log_truncate_code: int
    log_truncate_output: int
    log_truncate_prompt_summary: int
    limits: Limits | None
    isolation: str
    imports: str | Collection[str]
    packages: Sequence[str]
    pool: SandboxPool | None
    trace_path: Path | str | None
