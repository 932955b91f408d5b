"""The lines by which a model says that it is done: FINAL, FINAL_VAR, SUBMIT, and their habits."""

from __future__ import annotations

import ast
import re

from msgspec import Struct

from rlm_core.dialects import python


class Final(Struct, frozen=True):
    """The answer itself. `name` is set where the text could as well be a variable's name."""

    text: str
    name: str | None = None


class FinalVar(Struct, frozen=True):
    """The answer is what a variable of the session holds."""

    name: str


_ANSWER_WORDS = (
    r"final\ answer|respuesta\ final|r\u00e9ponse\ finale|resposta\ final|endg\u00fcltige\ antwort"
    r"|finale\ antwort|risposta\ finale|\u6700\u7ec8\u7b54\u6848|\u6700\u7d42\u56de\u7b54"
)
_DRESS = r"[ \t>#*_`\-]*"
_WORD = re.compile(
    rf"""^{_DRESS}
    (?P<word>FINAL_VAR|FINAL[ _]ANSWER|FINAL|SUBMIT|(?i:{_ANSWER_WORDS}))
    [*_`]*[ \t]*
    (?:(?P<colon>[:\uff1a])|(?P<paren>[(\uff08]))""",
    re.VERBOSE | re.MULTILINE,
)
_BARE_VAR = re.compile(r"^[ \t>*`]*FINAL_VAR[ \t]*=?[ \t]+(?P<name>\w+)[`*]*[ \t]*$", re.MULTILINE)
_HEADING = re.compile(rf"^[#*_ ]+(?i:{_ANSWER_WORDS})[*_ ]*\n+(?=\S)", re.MULTILINE | re.VERBOSE)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_NAME = re.compile(r"[^\W\d]\w*")
_LIKELY_NAMES = frozenset(
    {"answer", "final_answer", "output", "response", "result", "results", "summary"}
)
_PLAN = re.compile(
    r"""^(?:
        (?:first|next|now|then)?,?\s*
        (?:i\ will|i'll|i\ am\ going\ to|i'm\ going\ to|i\ need\ to|let\ me|let's|let\ us)
        \s+(?!know)\w+
      | (?:my\ )?(?:plan|approach)\s*:
      | step\ 1\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)


class Found(Struct, frozen=True):
    """A final and where its line begins in the text that was searched."""

    final: Final | FinalVar
    start: int


def find(text: str) -> Found | None:
    """The first final in a text without fences: it begins a line; its text is the rest."""
    match = _WORD.search(text)
    bare = _BARE_VAR.search(text)
    if bare is not None and (match is None or bare.start() <= match.start()):
        return Found(FinalVar(bare["name"]), bare.start())
    heading = _HEADING.search(text) if match is None else None
    if heading is not None:
        return Found(_text(text[heading.end() :], colon=True), heading.start())
    if match is None:
        return None
    is_var = match["word"] == "FINAL_VAR"
    if match["colon"]:
        rest = text[match.end() :]
        return Found(_variable(rest) if is_var else _text(rest, colon=True), match.start())
    inside = _in_parentheses(text, match.end())
    if inside is None:
        return None
    return Found(_variable(inside) if is_var else _text(inside, colon=False), match.start())


def boxed(text: str) -> Final | None:
    r"""The last \boxed{...} of a text, which some models write around their answer."""
    found = _BOXED.findall(text)
    return Final(found[-1].strip()) if found and found[-1].strip() else None


def is_plan(text: str) -> bool:
    """True for an "answer" that announces what will be done instead of answering."""
    return _PLAN.match(text.strip()) is not None


def in_code(source: str) -> tuple[str, Final | FinalVar | None]:
    """Code that parses, without its lines `FINAL: x` and `FINAL_VAR: x`, and what they said.

    To Python these lines are annotations; only at the top level are they the model's final. A
    line inside a string or a comment is neither.
    """
    tree = python.tree_of(source)
    if tree is None:
        return source, None
    said = [node for node in tree.body if _says_final(node)]
    if not said:
        return source, None
    lines = source.split("\n")
    for node in said:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
    last = said[-1]
    found = find("\n".join(source.split("\n")[last.lineno - 1 : last.end_lineno]))
    return "\n".join(lines).strip("\n"), None if found is None else found.final


def call_of(source: str) -> Final | FinalVar | None:
    """The final of a text that is one call of FINAL, FINAL_VAR or SUBMIT with a plain argument."""
    tree = python.tree_of(source)
    match tree and tree.body:
        case [ast.Expr(value=ast.Call(func=ast.Name(id=word), args=[argument], keywords=[]))]:
            return _of_argument(word, argument)
    return None


def _of_argument(word: str, argument: ast.expr) -> Final | FinalVar | None:
    match word, argument:
        case "FINAL_VAR", ast.Name(id=name) | ast.Constant(value=str(name)):
            return FinalVar(name.strip())
        case "FINAL" | "SUBMIT", ast.Constant(value=value):
            return Final(str(value).strip())
        case "FINAL" | "SUBMIT", ast.Name(id=name):
            return Final(name, name)
    return None


def _says_final(node: ast.stmt) -> bool:
    match node:
        case ast.AnnAssign(target=ast.Name(id="FINAL" | "FINAL_VAR"), value=None):
            return True
    return False


def _variable(rest: str) -> FinalVar:
    """The name after FINAL_VAR: the first line, without quotes, backticks and explanations."""
    line = rest.strip().split("\n")[0].strip().strip("`*\"' \t<>{}.,;")
    if line.endswith("()") or _NAME.fullmatch(line) is None:
        words = _NAME.match(line)
        is_expression = "[" in line or "." in line.rstrip(".")
        line = line if is_expression or words is None else words[0]
    return FinalVar(line)


def _text(rest: str, *, colon: bool) -> Final:
    text = _undressed(rest.strip())
    if colon:
        return Final(text, text if text in _LIKELY_NAMES else None)
    return Final(text, text if _NAME.fullmatch(text) else None)


def _undressed(text: str) -> str:
    """The text without the bold, backticks or quotes that were put around the whole of it."""
    text = re.sub(r"^\*\*[ \t]*", "", text)
    if "\n" not in text and text.count("**") % 2:
        text = text.replace("**", "", 1) if text.startswith("**") else re.sub(r"\*\*$", "", text)
    text = text.strip()
    for mark in ('"""', "'''", "**", "`", '"', "'"):
        inner = text[len(mark) : -len(mark)]
        if len(text) > 2 * len(mark) and text == f"{mark}{inner}{mark}" and mark not in inner:
            return inner.strip()
    return text


def _in_parentheses(text: str, start: int) -> str | None:
    """What stands between the parenthesis before `start` and the one that closes it.

    An apostrophe is no quote, so quotes are not interpreted. Where nothing closes it, the rest.
    """
    depth = 1
    for position in range(start, len(text)):
        if text[position] in "(\uff08":
            depth += 1
        elif text[position] in ")\uff09":
            depth -= 1
            if depth == 0:
                return text[start:position]
    return text[start:].strip() or None
