"""What model-written code finds in its session. This file's source is run inside the worker.

It imports the standard library only. Its globals hold, before it runs: the text P, the functions
of the host (`rlm_core.subcalls`) and the values of `GuestValues` in `rlm_core.session`. Every
name of `__all__` is put into the session and comes back after a cell that binds it anew.
"""

from __future__ import annotations

import json
import random
import sys
import types
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from rlm_core.context import Context, DocumentSpans
    from rlm_core.jsonish import Asking, parse_jsonish
    from rlm_core.short_answers import first_word, short_answer
    from rlm_core.sketches import as_text, sketch

    P = CONTEXT_TYPE = ""
    MODULES: dict[str, str] = {}
    SEED = 0
    CONTEXT_PATHS: list[str] = []
    DOCUMENT_BOUNDS: list[int] = []
    DOCUMENTS_TEXT = sys.argv[0] if sys.argv else None
    PARALLEL = len(sys.argv) > 1

    def rlm_query(prompt: str, options: dict[str, object]) -> str:
        """One sub-model call, made by the host."""
        ...

    def rlm_batch(prompts: list[str], options: dict[str, object]) -> list[dict[str, str]]:
        """Many calls at once, made by the host: {"text"}, with {"error", "message"} if failed."""
        ...

    def rlm_budget() -> dict[str, int | float | None]:
        """What is left."""
        ...

    def rlm_submit(answer: object, text: str | None = None) -> None:
        """Take an answer, and how it reads."""
        ...


__all__ = [
    "FINAL",
    "FINAL_VAR",
    "SHOW_VARS",
    "SUBMIT",
    "Context",
    "PromptError",
    "_parse_jsonish_response",
    "ask",
    "ask_chunk",
    "ask_chunked",
    "ask_chunks",
    "ask_chunks_first",
    "budget",
    "ctx",
    "extract_after",
    "lenP",
    "llm_batch",
    "llm_batch_json",
    "llm_batch_records",
    "llm_query",
    "llm_query_batch",
    "llm_query_json",
    "llm_query_records",
    "peek",
    "pick_first_answer",
    "subcall",
    "tail",
]

BAD_ITEM = "llm_batch expects a list of prompt strings."
PORTION_CHARS = 2_000_000  # up to 8 MB as UTF-8: half of what may cross at once


def _load(name: str, source: str) -> None:
    """A module of the host, run here from its source: there is one definition of each name."""
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)  # noqa: S102 - our own


for _name, _source in MODULES.items():
    _load(_name, _source)
if not TYPE_CHECKING:
    from rlm_context import Context, DocumentSpans
    from rlm_jsonish import Asking, parse_jsonish
    from rlm_short_answers import first_word, short_answer
    from rlm_sketches import as_text, sketch
_parse_jsonish_response = parse_jsonish
random.seed(SEED)  # a run that is replayed draws what it drew
_whole = P if DOCUMENTS_TEXT is None else DOCUMENTS_TEXT
ctx = Context(P, DocumentSpans(_whole, DOCUMENT_BOUNDS), CONTEXT_TYPE, tuple(CONTEXT_PATHS))


def peek(n: int = 2000) -> str:
    """The first n characters of P."""
    return P[: max(0, n)]


def tail(n: int = 2000) -> str:
    """The last n characters of P."""
    return P[-n:] if n > 0 else ""


def lenP() -> int:  # noqa: N802 - the field's own name
    """The number of characters in P."""
    return len(P)


def llm_query(
    text: str,
    *,
    model: str | None = None,
    max_tokens: int | None = None,
    depth: int = 1,
    parallel_group: str | None = None,
    parallel_index: int | None = None,
    parallel_total: int | None = None,
    reserved_tokens: int = 0,
) -> str:
    """Ask a sub-model, which sees nothing but this text."""
    del reserved_tokens  # reservations are the host's business
    options: dict[str, object] = {"model": model, "max_tokens": max_tokens, "depth": depth}
    if parallel_group is not None:
        options |= {"group": parallel_group, "index": parallel_index, "total": parallel_total}
    return rlm_query(as_text(text), options)


subcall = llm_query


def llm_batch(
    prompts: object,
    *,
    model: str | None = None,
    max_tokens: int | None = None,
    on_error: str = "return",
) -> list[str]:
    """Ask a sub-model many things at once; the answers are in the order of the prompts.

    A prompt that failed gives a PromptError, which is a text "[ERROR] ...", and the others are
    kept; with on_error="raise" the first failure is raised.
    """
    if on_error not in {"return", "raise"}:
        raise ValueError("on_error must be 'return' or 'raise'")
    if not isinstance(prompts, (list, tuple)):
        raise ValueError(BAD_ITEM)  # noqa: TRY004 - what programs expect
    unique = list(dict.fromkeys(item for item in prompts if isinstance(item, str)))
    answers: dict[str, str] = {}
    if unique:
        options: dict[str, object] = {"model": model, "max_tokens": max_tokens}
        options["on_error"] = on_error
        for portion in _portions(unique):
            answers |= zip(portion, map(_item_text, rlm_batch(portion, options)), strict=True)
    return [answers[item] if isinstance(item, str) else _bad_item() for item in prompts]


def _portions(prompts: list[str]) -> list[list[str]]:
    """The prompts in as few lists as may cross to the host; a prompt is never cut."""
    portions: list[list[str]] = []
    room = 0
    for prompt in prompts:
        if not portions or len(prompt) > room:
            portions.append([])
            room = PORTION_CHARS
        portions[-1].append(prompt)
        room -= len(prompt)
    return portions


def _bad_item() -> PromptError:
    return PromptError(f"[ERROR] {BAD_ITEM}", "TypeError", BAD_ITEM)


class PromptError(str):
    """The text in place of an answer that a prompt of a batch did not get, and why.

    `kind` is the name of the error, `message` what it says.
    """

    __slots__ = ("kind", "message")

    def __new__(cls, text: str, kind: str, message: str) -> Self:
        self = super().__new__(cls, text)
        self.kind = kind
        self.message = message
        return self


def _item_text(item: dict[str, str]) -> str:
    if "error" in item:
        return PromptError(item["text"], item["error"], item["message"])
    return item["text"]


def llm_query_batch(
    chunks: object,
    *args: object,
    model: str | None = None,
    max_tokens: int | None = None,
    chunk_size: int | None = None,
    overlap: int = 0,
    question: str | None = None,
    parallel: bool | None = None,
) -> list[str]:
    """Ask about each of several pieces; also takes (question, pieces) the other way round."""
    rest = list(args)
    if isinstance(chunks, str) and rest and isinstance(rest[0], (list, tuple, Context)):
        question, chunks = chunks, rest.pop(0)
    question = question if question is not None else _question_among(rest)
    prompts = _prompts(question, _pieces(chunks, chunk_size, overlap))
    if PARALLEL if parallel is None else parallel:
        return llm_batch(prompts, model=model, max_tokens=max_tokens)
    answers = {
        prompt: llm_query(prompt, model=model, max_tokens=max_tokens)
        for prompt in dict.fromkeys(prompts)
    }
    return [answers[prompt] for prompt in prompts]


def ask(question: str, text: str, *, max_tokens: int | None = None) -> str:
    """Ask a question about a piece of text."""
    return llm_query(_prompt(question, as_text(text)), max_tokens=max_tokens)


def ask_chunk(question: str, text: str, *, max_tokens: int | None = None) -> str:
    """The same as `ask`."""
    return ask(question, text, max_tokens=max_tokens)


def ask_chunks(
    question: str,
    chunks: object,
    *,
    max_tokens: int | None = None,
    chunk_size: int | None = None,
    overlap: int = 0,
    parallel: bool | None = None,
) -> list[str]:
    """Ask a question about each of several pieces."""
    return llm_query_batch(
        chunks,
        question=question,
        max_tokens=max_tokens,
        chunk_size=chunk_size,
        overlap=overlap,
        parallel=parallel,
    )


ask_chunked = ask_chunks


def ask_chunks_first(
    question: str,
    chunks: object,
    *,
    max_tokens: int | None = None,
    chunk_size: int | None = None,
    overlap: int = 0,
) -> str | None:
    """Ask about one piece after the other, up to the first that gives a short clear answer."""
    for prompt in dict.fromkeys(_prompts(question, _pieces(chunks, chunk_size, overlap))):
        answer = short_answer(llm_query(prompt, max_tokens=max_tokens))
        if answer is not None:
            return answer
    return None


def pick_first_answer(answers: object) -> str | None:
    """The first of several answers that is short and clear, without its preamble, or None."""
    if not isinstance(answers, (list, tuple)):
        return None
    short = (short_answer(item) for item in answers if isinstance(item, str))
    return next((item for item in short if item is not None), None)


def extract_after(marker: str, *, max_len: int = 128) -> str | None:
    """The first word after a marker in P, without punctuation around it, or None."""
    position = P.find(marker)
    if position < 0:
        return None
    start = position + len(marker)
    return first_word(P[start : start + max_len])


def llm_query_json(
    prompt: str,
    text: str | None = None,
    *,
    schema: object = None,
    model: str | None = None,
    max_tokens: int | None = None,
) -> object:
    """Ask a sub-model and parse its answer as JSON; what is none is {"_parse_error", "_raw"}.

    With a `schema`, such as {"name": str, "age": "int?"}, the answer is of that form: the
    sub-model is told what it must be, and once, if it was not, what was wrong.
    """
    whole = f"{prompt}\n\n{text}" if bool(text) else prompt
    ask = partial(_one_by_one, model=model, max_tokens=max_tokens)
    return Asking(ask, schema, _is_reply).values([whole])[0]


def llm_batch_json(
    prompts: list[str],
    *,
    schema: object = None,
    model: str | None = None,
    max_tokens: int | None = None,
) -> list[object]:
    """`llm_query_json` for many prompts at once."""
    ask = partial(llm_batch, model=model, max_tokens=max_tokens)
    return Asking(ask, schema, _is_reply).values(prompts)


def llm_query_records(
    prompt: str,
    *,
    schema: object = None,
    model: str | None = None,
    max_tokens: int | None = None,
) -> list[dict[str, object]]:
    """Ask a sub-model for records: the dicts in the JSON that it answers.

    With the `schema` of one record, those that are not of that form in the end are left out.
    """
    ask = partial(_one_by_one, model=model, max_tokens=max_tokens)
    return Asking(ask, schema, _is_reply).records([prompt])[0]


def llm_batch_records(
    prompts: list[str],
    *,
    schema: object = None,
    model: str | None = None,
    max_tokens: int | None = None,
) -> list[list[dict[str, object]]]:
    """`llm_query_records` for many prompts at once."""
    ask = partial(llm_batch, model=model, max_tokens=max_tokens)
    return Asking(ask, schema, _is_reply).records(prompts)


def _one_by_one(
    prompts: list[str], *, model: str | None = None, max_tokens: int | None = None
) -> list[str]:
    return [llm_query(prompt, model=model, max_tokens=max_tokens) for prompt in prompts]


def _is_reply(text: str) -> bool:
    """False for what stands in the place of a reply that could not be had."""
    return not isinstance(text, PromptError) and not text.startswith("[SUBCALL_LIMIT]")


def budget() -> dict[str, int | float | None]:
    """What is left of this run: steps, subcalls, tokens, seconds, cost. None: no limit."""
    return rlm_budget()


def FINAL(answer: object) -> None:  # noqa: N802 - the field's own name
    """Give the answer from within code; the run ends after this cell."""
    _submit(answer)


def FINAL_VAR(name: object) -> None:  # noqa: N802 - the field's own name
    """Give the value of a variable (its name, or itself) as the answer."""
    session = sys._getframe(1).f_globals
    named = isinstance(name, str) and name in session
    _submit(session[name] if named else name)


def SUBMIT(*values: object, **fields: object) -> None:  # noqa: N802 - the field's own name
    """Give the answer: one value, or several named fields, which become a JSON object."""
    if len(fields) == 1 and not values:
        values, fields = tuple(fields.values()), {}
    answer = values[0] if len(values) == 1 and not fields else [*values] or fields
    text = json.dumps(answer, ensure_ascii=False, default=str) if fields else None
    _submit(answer, text)


def _submit(answer: object, text: str | None = None) -> None:
    """Hand an answer over as the data that it is, or, where that cannot cross, as its text."""
    said = getattr(answer, "text", None)
    plain = said if isinstance(said, str) else answer
    if hasattr(plain, "__dataclass_fields__"):
        import dataclasses

        plain = dataclasses.asdict(plain)  # ty: ignore[invalid-argument-type]
    try:
        rlm_submit(plain, text)
    except Exception as refused:
        if type(refused).__name__ != "ValueRefused":
            raise
        rlm_submit(str(answer) if text is None else text)


def SHOW_VARS() -> str:  # noqa: N802 - the field's own name
    """The variables that the code has made: name, type and size, one a line."""
    session = sys._getframe(1).f_globals
    mine = {
        name: value
        for name, value in session.items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name not in globals()
    }
    lines = [f"{name} = {sketch(value)}" for name, value in mine.items()]
    return "\n".join(lines) or "(no variables yet)"


def _question_among(values: list[object]) -> str | None:
    for value in values:
        if isinstance(value, str):
            return value
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return value[0]
    return None


def _pieces(chunks: object, chunk_size: int | None, overlap: int) -> list[str]:
    if isinstance(chunks, Context):
        return [text for _, _, text in chunks.chunk(chunk_size or 2000, overlap=overlap)]
    if isinstance(chunks, str):
        if not bool(chunk_size):
            return [chunks]
        return [text for _, _, text in Context.from_text(chunks).chunk(chunk_size, overlap)]
    if not isinstance(chunks, (list, tuple, DocumentSpans)):
        return []
    pieces: list[str] = []
    for item in chunks:
        if isinstance(item, str):
            pieces.append(item)
        elif isinstance(item, tuple) and len(item) >= 3:
            pieces.append(str(item[2]))
    return pieces


def _prompt(question: str, piece: str) -> str:
    return f"Question: {question}\nSnippet:\n{piece}"


def _prompts(question: str | None, pieces: list[str]) -> list[str]:
    return [_prompt(question, piece) for piece in pieces] if bool(question) else pieces
