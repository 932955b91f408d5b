"""Is this text Python, and is it meant to be run? Repairs what a chat window does to code."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache

_FILE = "<rlm-reply>"
_OURS = re.compile(re.escape(_FILE))
_REMEMBERED_CHARS = 20_000  # of a longer source the tree is too large to be kept
_PROMPT = re.compile(r"^\s*(?:>>> ?|In \[\d+\]: ?)")
_MORE = re.compile(r"^\s*(?:\.\.\.(?: |$)|\.\.\.: ?)")
_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u00a0": " ",
        "\u202f": " ",
        "\u3000": " ",
        "\u2212": "-",
        "\u200b": None,
        "\u200c": None,
        "\u200d": None,
        "\ufeff": None,
    }
)
_STARTS = re.compile(
    r"""^(?:
        (?:import|from|def|class|for|while|if|with|async|try|return|del|assert|raise)\b
      | @\w
      | [A-Za-z_][\w.]*(?:\[[^\]]*\])*\s*(?:[-+*/%|&]|//|\*\*)?=(?!=)  # an assignment
      | [A-Za-z_]\w*(?:\s*,\s*[A-Za-z_*]\w*)+\s*=(?!=)
      | [A-Za-z_][\w.]*\(                                              # a call
      | \#
    )""",
    re.VERBOSE,
)


def tree_of(source: str) -> ast.Module | None:
    """The syntax tree, or None for what is no Python (or Python beyond the parser's depth).

    Nobody may change it: the same source has the same tree, since a reply is looked at many times.
    """
    return _remembered(source) if len(source) <= _REMEMBERED_CHARS else _parsed(source)


def mistake_in(source: str) -> SyntaxError | None:
    """What makes a source no Python; None for Python, and for what is beyond the parser's depth."""
    _keep_warnings_to_ourselves()
    try:
        compile(source, _FILE, "exec")
    except SyntaxError as error:
        return error
    except (ValueError, MemoryError, RecursionError):
        return None
    return None


def repaired(source: str) -> str:
    """The source itself, or what it was before typography or HTML escaping spoiled it.

    A repair is taken only when it turns what does not parse into what does.
    """
    if tree_of(source) is not None:
        return source
    for candidate in (
        source.translate(_TYPOGRAPHY),
        _unescaped(source),
        _dedented(source),
        _dedented(source.translate(_TYPOGRAPHY)),
    ):
        if tree_of(candidate) is not None:
            return candidate
    return source


def untranscribed(source: str) -> str:
    """The statements of a REPL transcript without prompts and output; other text unchanged."""
    lines = source.split("\n")
    if not any(_PROMPT.match(line) for line in lines):
        return source
    kept: list[str] = []
    for line in lines:
        prompt = _PROMPT.match(line)
        more = _MORE.match(line)
        if prompt is not None:
            kept.append(line[prompt.end() :])
        elif more is not None and kept:
            kept.append(line[more.end() :])
    return "\n".join(kept)


def does_something(source: str) -> bool:
    """True for Python with at least one statement that acts: words that happen to parse do not."""
    tree = tree_of(source)
    return tree is not None and any(map(_acts, tree.body))


def looks_written_as_code(source: str) -> bool:
    """True when the first line that says anything begins as statements do; it need not parse."""
    for line in source.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            return _STARTS.match(line.strip()) is not None
    return False


def passage(text: str) -> str | None:
    """The run of lines that is code within prose without fences, or None.

    It begins where a line is written as code, and ends with the text or before trailing prose.
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if _STARTS.match(line)][:8]
    for start in starts:
        for end in _ends(lines, start):
            source = repaired("\n".join(lines[start:end]))
            if does_something(source):
                return source.strip("\n")
    return None


def _ends(lines: list[str], start: int) -> list[int]:
    """Where a passage may end: at the end of the text, or before a paragraph, latest first."""
    breaks = [
        number
        for number in range(start + 1, len(lines))
        if not lines[number].strip() or lines[number][:1].isupper()
    ]
    return [len(lines), *reversed(breaks[-12:])]


def _parsed(source: str) -> ast.Module | None:
    _keep_warnings_to_ourselves()
    try:
        return _parsed_at_last(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _parsed_at_last(source: str) -> ast.Module:
    """Up to Python 3.12 threads that parse at once mix their depths up (python/cpython#106905)."""
    tries = 10
    while True:
        try:
            return ast.parse(source, _FILE)
        except SystemError:
            tries -= 1
            if not tries:
                raise


_remembered = lru_cache(maxsize=16)(_parsed)


def _acts(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Subscript() | ast.NamedExpr()):
            return True
        case ast.Expr():
            return isinstance(node.value, ast.ListComp | ast.DictComp | ast.SetComp | ast.JoinedStr)
        case ast.AnnAssign(target=ast.Name(id=name)):
            return node.value is not None and not name[:1].isupper()
        case ast.Pass():
            return False
    return True


def _unescaped(source: str) -> str:
    from html import unescape  # its table of names is large, and seldom wanted

    return unescape(source)


def _dedented(source: str) -> str:
    """Code that a list item or a quotation indented: the first line's indent goes everywhere."""
    lines = source.strip("\n").split("\n")
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    return "\n".join(line.removeprefix(indent) for line in lines)


def _keep_warnings_to_ourselves() -> None:
    """An "invalid escape sequence" is the model's business and not our caller's.

    A filter by file name, for `catch_warnings` is not safe where there are threads.
    """
    if not any(entry[3] == _OURS for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_OURS.pattern)
