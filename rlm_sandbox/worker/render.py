"""Short texts about the code's errors and values, for people and models to read."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Mapping
from types import TracebackType

from rlm_sandbox.protocol import ERROR_CHARS, NAME_CHARS

PREVIEW_CHARS = 60
LONG_CELL_LINES = 80


def cell_name(step: int) -> str:
    """The file name that code of this step has in tracebacks."""
    return f"<cell {step}>"


def error_line(error: BaseException, step: int = 0) -> str:
    """ "ZeroDivisionError: division by zero (line 3)": the innermost line of a cell's code."""
    if isinstance(error, SyntaxError) and error.filename == cell_name(step):
        return cut(_syntax_error(error))
    text = "".join(traceback.format_exception_only(error)).strip()
    return cut(text) + _where(error.__traceback__, step)


def cut(text: str) -> str:
    """`text` as it may cross as an error: not too long, and all of it encodable."""
    if len(text) > ERROR_CHARS:
        text = text[: ERROR_CHARS - 15] + "...<truncated>"
    return encodable(text)


def encodable(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 cannot hold, written as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _syntax_error(error: SyntaxError) -> str:
    lines = [f"{type(error).__name__}: {error.msg} (line {error.lineno})"]
    if error.text is not None:
        lines.append("    " + error.text.rstrip("\n"))
        lines.append("    " + " " * max((error.offset or 1) - 1, 0) + "^")
    if (error.lineno or 0) > LONG_CELL_LINES:
        lines.append("Hint: split the code into smaller cells.")
    return "\n".join(lines)


def _where(trace: TracebackType | None, step: int) -> str:
    where = ""
    for frame, line in traceback.walk_tb(trace):
        name = frame.f_code.co_filename
        if name == cell_name(step):
            where = f" (line {line})"
        elif name.startswith("<cell "):
            where = f" (line {line} of {name[1:-1]})"
    return where


def describe(value: object) -> str:
    """The type of a value, its size, and the beginning of what it holds."""
    kind = type(value).__name__
    if isinstance(value, str):
        return f"str[len={len(value)}] {_preview(value[:PREVIEW_CHARS])}"
    if isinstance(value, dict):
        first = itertools.islice(value, 3)
        keys = [key if isinstance(key, str | int | float) else type(key) for key in first]
        return f"{kind}[len={len(value)}] keys={_preview(keys)}"
    if isinstance(value, list | tuple | set | frozenset | bytes | bytearray):
        return f"{kind}[len={len(value)}]"
    if isinstance(value, bool | int | float | complex):
        return f"{kind}({_preview(value)})"
    summary = getattr(value, "__summary__", None)
    return summary() if callable(summary) and not isinstance(value, type) else kind


def _preview(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return "..."
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 3] + "..."


def describe_names(namespace: Mapping[str, object], hidden: Mapping[str, object]) -> dict[str, str]:
    """The session's own variables: no modules, no scaffolding, nothing that begins with "_"."""
    described = {}
    for name, value in list(namespace.items()):
        own = isinstance(name, str) and name not in hidden and not name.startswith("_")
        if not own or type(value).__name__ in {"module", "CoercingRegex"}:
            continue
        try:
            described[name[:NAME_CHARS]] = cut(str(describe(value)))
        except Exception as error:  # noqa: BLE001 - the value's own code may raise anything
            described[name[:NAME_CHARS]] = f"{type(value).__name__} ({type(error).__name__})"
    return dict(sorted(described.items()))
