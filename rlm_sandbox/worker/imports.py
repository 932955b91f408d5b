"""What the code may import and call under `imports="safe"`: a guide for friendly code, not a wall.

Hostile code walks around this file in one line; the kernel is what holds it. The purpose is that a
model which tries `import os` or `open(...)` is told at once what to do instead.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

PRELOADED = ("re", "math", "json", "textwrap", "collections", "pprint", "datetime", "time")
"""Modules that are there under their name without an import, as programs for the seed expect."""

SAFE_MODULES = (
    *PRELOADED,
    *("abc", "array", "ast", "asyncio", "base64", "binascii", "bisect", "calendar", "cmath"),
    *("codecs", "colorsys", "concurrent", "contextlib", "copy", "csv", "dataclasses", "decimal"),
    *("difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "html"),
    *("io", "ipaddress", "itertools", "keyword", "locale", "numbers", "operator", "queue"),
    *("random", "reprlib", "secrets", "statistics", "string", "stringprep", "struct", "threading"),
    *("token", "tokenize", "traceback", "types", "typing", "unicodedata", "uuid", "warnings"),
    *("weakref", "zlib", "zoneinfo", "__future__"),
)
"""Standard modules whose purpose is computing, not reaching out."""


def session_builtins(allowed: tuple[str, ...] | None) -> dict[str, object]:
    """The `__builtins__` of the session; None for `allowed` leaves everything as Python has it."""
    names = dict(vars(builtins))
    names["exit"] = names["quit"] = sys.exit
    if allowed is None:
        return names
    names["__import__"] = ImportGuard(allowed)
    for name, advice in _UNAVAILABLE.items():
        names[name] = _unavailable(name, advice)
    return names


class ImportGuard:
    """`__import__` of the session's own code; modules that it imports import what they like."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(allowed)
        self._listing = ", ".join(sorted(name for name in allowed if not name.startswith("_")))

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType | CoercingRegex:
        if level == 0 and not self._permits(name):
            raise ImportError(
                f"import of {name!r} is not allowed here. You may import: {self._listing}"
            )
        module = builtins.__import__(name, globals, locals, fromlist or (), level)
        return COERCING_REGEX if module is re else module

    def _permits(self, name: str) -> bool:
        """A name or a package above it is on the list."""
        parts = name.split(".")
        return any(".".join(parts[:size]) in self._allowed for size in range(1, len(parts) + 1))


_UNAVAILABLE = {
    "open": "there are no files here; the context is in variables such as P and ctx",
    "input": "nobody is there to answer; decide from the data you have",
    "breakpoint": "there is no debugger here; print what you want to see",
    "help": "print(obj.__doc__) shows a docstring",
}


def _unavailable(name: str, advice: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise PermissionError(f"{name}() is not available here: {advice}")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def preloaded_modules(allowed: tuple[str, ...] | None) -> dict[str, object]:
    """The modules of PRELOADED that the code may import, by name."""
    names = [name for name in PRELOADED if allowed is not None and name in allowed]
    modules: dict[str, object] = {name: importlib.import_module(name) for name in names}
    if "re" in modules:
        modules["re"] = COERCING_REGEX
    return modules


class CoercingRegex:
    """The `re` module, whose searching functions also take a Context, a list or a tuple as text."""

    def search(self, pattern: str, string: object, flags: int = 0) -> re.Match[str] | None:
        return re.search(pattern, as_text(string), flags)

    def match(self, pattern: str, string: object, flags: int = 0) -> re.Match[str] | None:
        return re.match(pattern, as_text(string), flags)

    def findall(self, pattern: str, string: object, flags: int = 0) -> list[object]:
        return re.findall(pattern, as_text(string), flags)

    def finditer(self, pattern: str, string: object, flags: int = 0) -> object:
        return re.finditer(pattern, as_text(string), flags)

    def sub(
        self,
        pattern: str,
        repl: str | Callable[[re.Match[str]], str],
        string: object,
        count: int = 0,
        flags: int = 0,
    ) -> str:
        return re.sub(pattern, repl, as_text(string), count=count, flags=flags)

    def __getattr__(self, name: str) -> object:
        return getattr(re, name)

    def __repr__(self) -> str:
        return repr(re)


def as_text(value: object) -> Any:
    """The text that `value` stands for: itself, a context's text, the lines of a list or tuple."""
    if isinstance(value, str | bytes | bytearray):
        return value
    text = getattr(value, "text", None)
    if isinstance(text, str):
        return text
    if isinstance(value, list | tuple):
        return "\n".join(_line(item) for item in value)
    return str(value)


def _line(item: object) -> str:
    """A (start, end, text) triple, as `ctx.find` and `ctx.chunk` give it, stands for its text."""
    if isinstance(item, tuple) and len(item) >= 3:
        return str(item[2])
    return str(item)


COERCING_REGEX = CoercingRegex()
