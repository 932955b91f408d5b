"""What a model's reply means: code to run, an answer, or neither. Pure; tested over a corpus.

The rules, in order of weight:
- what the model thought aloud is not what it said;
- code is run before anything is believed: text after FINAL beside code was written without having
  seen what the code prints; FINAL_VAR beside code is honoured once the code has run;
- a final is a line that begins with its word, outside of fences, strings and comments;
- words that happen to parse as Python are not code, and prose is not an answer.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from rlm_core.dialects import fences, finals, python, wrappers
from rlm_core.dialects.fences import Block, Fenced, Language
from rlm_core.dialects.finals import Final, FinalVar

__all__ = ["Code", "Final", "FinalVar", "Neither", "Reply", "Why", "parse_reply"]


class Why(StrEnum):
    """Why a reply is neither code nor an answer."""

    EMPTY = "empty"  # nothing was said (or only thought)
    PROSE = "prose"  # text that is neither
    CUT = "cut"  # it ends in the middle of code
    LANGUAGE = "language"  # code, but not Python
    PLAN = "plan"  # an intention was given as the answer


class Code(Struct, frozen=True):
    """Python to run. `final` is what the model said beside it: a FinalVar holds after the run,
    a Final was written too early and is only kept in case nothing better comes.
    """

    source: str
    final: Final | FinalVar | None = None


class Neither(Struct, frozen=True):
    """Nothing to run and no answer. `text` is what was offered as an answer, for a plan."""

    why: Why
    text: str = ""


Reply = Code | Final | FinalVar | Neither


def parse_reply(text: str) -> Reply:
    """Decide what a reply means. Never raises, whatever the text."""
    lines = text.lstrip("\ufeff\u200b").replace("\r\n", "\n").replace("\r", "\n")
    said = wrappers.without_thoughts(lines)
    if not said.strip():
        return Neither(Why.EMPTY)
    fenced = fences.split(said)
    if fenced.blocks:
        decided = _fenced(fenced)
        if decided is not None:
            return decided
    return _unfenced(said, fenced)


def _fenced(fenced: Fenced) -> Reply | None:
    """The meaning of a reply with blocks, or None where its blocks decide nothing."""
    blocks = [block for block in fenced.blocks if _is_runnable(block)]
    if blocks:
        return _blocks(blocks, fenced)
    if finals.find(fenced.outside) is not None:
        return None
    for block in fenced.blocks:
        inner = _block_alone(block)
        if inner is not None:
            return inner
    if any(not block.closed and block.language is Language.PYTHON for block in fenced.blocks):
        return Neither(Why.CUT)
    if any(block.language is Language.OTHER for block in fenced.blocks):
        return Neither(Why.LANGUAGE)
    return None


def _is_runnable(block: Block) -> bool:
    """Python by name runs even with a mistake in it, which the model then learns of."""
    source = _cleaned(block.body)
    stripped, final = finals.in_code(source)
    if final is not None or finals.call_of(source) is not None:
        return python.does_something(stripped) and finals.call_of(source) is None
    match block.language:
        case Language.PYTHON:
            parses = python.tree_of(source) is not None
            if not parses and finals.find(source) is not None:
                return False
            return bool(source.strip()) and (parses or block.closed)
        case Language.UNSAID:
            return python.does_something(source)
        case Language.OTHER:
            return False


def _blocks(blocks: list[Block], fenced: Fenced) -> Reply:
    """All blocks as one cell; the finals inside them and around them."""
    sources: list[str] = []
    final: Final | FinalVar | None = None
    for block in blocks:
        source, inside = finals.in_code(_cleaned(block.body))
        sources.append(source.strip("\n"))
        final = inside or final
    outside = finals.find(fenced.outside)
    if outside is not None and final is None:
        final = outside.final
    for block in fenced.blocks:
        if final is None and block not in blocks:
            alone = _block_alone(block)
            final = alone if isinstance(alone, Final | FinalVar) else None
    return _code(_together(sources), final)


def _together(sources: list[str]) -> str:
    """Several blocks as one cell, without those that are no Python if others are."""
    good = [source for source in sources if python.tree_of(source) is not None]
    return "\n\n".join(good or sources[:1])


def _block_alone(block: Block) -> Reply | None:
    """A block that is no code but a final, or a tool call."""
    called = finals.call_of(block.body)
    if called is not None:
        return _final(called)
    found = finals.find(block.body)
    if found is not None and not block.body[: found.start].strip():
        return _final(found.final)
    return _wrapped(block.body)


def _unfenced(said: str, fenced: Fenced) -> Reply:
    source = _cleaned(_untitled(said))
    called = finals.call_of(source)
    if called is not None:
        return _final(called)
    stripped, final = finals.in_code(source)
    if python.does_something(stripped):
        return _code(stripped, final)
    wrapped = _wrapped(said)
    if wrapped is not None:
        return wrapped
    found = finals.find(said)
    if found is not None:
        return _beside(said, found)
    return _prose(said, fenced)


def _beside(said: str, found: finals.Found) -> Reply:
    """A final with something before it: code comes first, prose does not matter."""
    before = said[: found.start].strip("\n")
    source = _cleaned(_untitled(before))
    if not python.does_something(source):
        source = python.passage(before) or ""
    if source and not _inside_string(said):
        return _code(source, found.final)
    return _final(found.final)


def _prose(said: str, fenced: Fenced) -> Reply:
    boxed = finals.boxed(said)
    if boxed is not None:
        return boxed
    inline = said.strip()
    if inline.startswith("`") and inline.endswith("`") and python.does_something(inline.strip("`")):
        return _code(inline.strip("`").strip(), None)
    if not fenced.blocks:
        source = python.passage(said)
        if source is not None:
            return _code(source, None)
        if python.looks_written_as_code(_untitled(said)):
            return _unparsable(_untitled(said))
    return Neither(Why.PROSE)


def _unparsable(source: str) -> Reply:
    """Code without a fence that does not parse: run it for its error, unless it is just cut."""
    mistake = python.mistake_in(source)
    if mistake is None:
        return Neither(Why.PROSE)
    says = mistake.msg or ""
    at_end = (mistake.lineno or 0) >= source.rstrip().count("\n") + 1
    unfinished = "never closed" in says or "unterminated" in says
    if unfinished or (at_end and "expected" in says):
        return Neither(Why.CUT)
    first = source.strip().split("\n")[0]
    return Code(source) if "=" in first or first.endswith((":", ")")) else Neither(Why.PROSE)


def _wrapped(text: str) -> Reply | None:
    match wrappers.unwrapped(text):
        case wrappers.WrappedCode(source):
            inner = fences.split(source)
            body = inner.blocks[0].body if inner.blocks else source
            called = finals.call_of(_cleaned(body))
            return _code(_cleaned(body), None) if called is None else _final(called)
        case wrappers.WrappedAnswer(answer):
            return _final(Final(answer))
        case None:
            return None


def _code(source: str, final: Final | FinalVar | None) -> Reply:
    """Code with its final; a final that is an expression is given a name first."""
    source = source.strip("\n")
    if isinstance(final, FinalVar):
        return _naming(final, source)
    return Code(source, final)


def _final(final: Final | FinalVar) -> Reply:
    if isinstance(final, FinalVar):
        return _naming(final, "")
    if not final.text:
        return Neither(Why.EMPTY)
    return Neither(Why.PLAN, final.text) if finals.is_plan(final.text) else final


def _naming(final: FinalVar, source: str) -> Reply:
    """FINAL_VAR of a name stays; of an expression, the expression is first given a name."""
    if final.name.isidentifier():
        return Code(source, final) if source else final
    if not final.name or python.tree_of(final.name) is None:
        return Code(source) if source else Neither(Why.EMPTY)
    return Code(f"{source}\nfinal_answer = {final.name}".strip("\n"), FinalVar("final_answer"))


def _cleaned(source: str) -> str:
    return python.repaired(python.untranscribed(source)).strip("\n")


def _untitled(text: str) -> str:
    """Without a first line that only names the language, the rest of a fence that was lost."""
    first, _, rest = text.strip("\n").partition("\n")
    named = fences.language_of(first) is Language.PYTHON and " " not in first.strip()
    return rest if named and rest.strip() else text


def _inside_string(said: str) -> bool:
    """True where the final's line is inside a string: the whole then parses and acts as code."""
    return finals.find(said) is None
