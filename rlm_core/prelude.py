"""What every session is given before its first cell: the files of `rlm_core.guest`, and values.

The files are compiled here, once a process. Sandboxes that are made with them have them from the
start, others are handed them as code. They have no file names there, which would tell the code
where this program lies.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import TYPE_CHECKING, Any

from rlm_core.guest import scaffold
from rlm_sandbox.modules import Modules

if TYPE_CHECKING:
    from importlib.abc import InspectLoader

    from rlm_core.context import Context

_LOADED = (
    *("context", "jsonish", "short_answers", "sketches", "guest", "guest.questions"),
    *("guest.looking", "guest.pieces", "guest.json_questions", "guest.answers", "guest.scaffold"),
    "guest.entry",
)
"""Files in the order in which they are run: each after what it imports."""


SOURCE = "from rlm_core.guest import entry\n__all__ = entry.enter(globals())\n"
"""What is run in each worker."""


@cache
def helper_modules() -> Modules:
    """What every session of a run has loaded: for `SandboxPool(..., modules=helper_modules())`.

    Sandboxes that are made without them are handed them when a run begins, which takes longer.
    """
    return Modules({"rlm_core": ""} | {f"rlm_core.{name}": _code_of(name) for name in _LOADED})


def names() -> frozenset[str]:
    """The names that a session has before its first cell: they are taken."""
    return frozenset({"P", *scaffold.NAMES})


def values_of(context: Context, *, parallel: bool, seed: int = 0) -> dict[str, object]:
    """The values that `rlm_core.guest.entry` is given."""
    spans = context.spans()
    lengths = context.document_lengths() if spans is None else []
    values: dict[str, object] = {
        "SEED": seed,
        "CONTEXT_TYPE": context.context_type,
        "CONTEXT_PATHS": list(context.paths),
        "DOCUMENT_BOUNDS": _consecutive(lengths) if spans is None else spans.bounds(),
        "PARALLEL": parallel,
    }
    return values if spans is None else values | {"DOCUMENTS_TEXT": None}


def documents_apart(context: Context) -> str | None:
    """The documents as one text of their own, where they are no parts of the context's text."""
    return "".join(context.documents) if context.spans() is None else None


def _code_of(name: str) -> CodeType:
    full = f"rlm_core.{name}"
    code = _loader_of(full).get_code(full)
    assert code is not None, "these modules are Python"
    return _renamed(code, f"<{full}>")


def _loader_of(name: str) -> InspectLoader:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is missing: install rlm-sandbox anew")
    loader: Any = spec.loader
    if hasattr(loader, "get_code") or spec.origin is None:
        return loader
    # pytest imports what brings it a plugin, as we do, with a loader that only runs it
    return SourceFileLoader(name, spec.origin)


def _renamed(code: CodeType, name: str) -> CodeType:
    """The code, and all within it, as if compiled from a file of this name."""
    inner = tuple(
        _renamed(each, name) if isinstance(each, CodeType) else each for each in code.co_consts
    )
    return code.replace(co_filename=name, co_consts=inner)


def _consecutive(lengths: list[int]) -> list[int]:
    bounds: list[int] = []
    position = 0
    for length in lengths:
        bounds += [position, position + length]
        position += length
    return bounds
