"""Options as programs for other runtimes name them: said in our words, or refused with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlm_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

    from rlm_core.options import Options
    from rlm_sandbox import Limits

_OTHER_NAMES = {
    "max_output_tokens": "max_tokens",
    "subcall_max_output_tokens": "subcall_max_tokens",
}
_ADVICE = {
    "retriever": "give the code your search functions as tools={'search': my_search}: they are "
    "described to the model",
    "doc_tools": "convert documents to text first (Context.from_documents), or give the code "
    "tools={'read_pdf': my_reader}",
}


def in_our_words(options: Options, known: Collection[str]) -> Options:
    """The options under our own names. Raises ConfigError, or TypeError for an unknown one."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"RLM has no option {', '.join(map(repr, unknown))}")
    given: dict[str, Any] = dict(options)
    _refuse(given)
    for other, ours in _OTHER_NAMES.items():
        if other not in given:
            continue
        if given.get(ours) is not None:
            raise ConfigError(f"{other} is another name of {ours}: give one of them")
        given[ours] = given.pop(other)
    if "repl_exec_timeout" in given:
        given |= _timed(given)
    if isinstance(given.get("compaction"), bool):
        given["compaction"] = "model" if given["compaction"] else None
    return given  # ty: ignore[invalid-explicit-return]


def _refuse(given: dict[str, Any]) -> None:
    for name, advice in _ADVICE.items():
        if given.get(name) is not None:
            raise ConfigError(f"{name} is not supported: {advice}")
    backend = given.get("repl_backend", "python")
    if backend == "monty":
        raise ConfigError(
            "repl_backend='monty' is not supported: repl_backend='python' runs full CPython in a "
            "process of its own"
        )
    if backend != "python":
        raise ConfigError(f"repl_backend must be 'python', not {backend!r}")
    way = given.get("recursion_impl", "child")
    if way != "child":
        raise ConfigError(
            f"recursion_impl must be 'child', not {way!r}: a recursive subcall is an episode of "
            "its own, in a sandbox of its own"
        )


def _timed(given: dict[str, Any]) -> dict[str, Any]:
    """The limits with the seconds of a cell among them."""
    from dataclasses import replace

    from rlm_sandbox import Limits as NewLimits

    seconds = given.pop("repl_exec_timeout")
    if given.get("pool") is not None:
        raise ConfigError("the limits of a pool's sandboxes are given to SandboxPool, not to RLM")
    limits: Limits = given.get("limits") or NewLimits()
    return {} if seconds is None else {"limits": replace(limits, step_seconds=seconds)}
