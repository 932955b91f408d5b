"""What models are told. `rlm_core.conversation` puts these texts and a run's state together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STDOUT_SHOWN = 1_800
ERROR_SHOWN = 1_200
STATE_SHOWN = 1_800
"""Characters of a cell's output, error and new variables that the model is shown."""

BASE_SYSTEM_PROMPT = """\
You answer a query about a text that may be far too long to read. The text is not in this \
conversation: it is the variable P (a str) in a Python session that you drive. You write Python; \
each reply is run as one cell; you are shown what it printed; variables stay for the next cell.

In the session:
- P: the whole text. ctx: the same text with methods: ctx.find(pattern, regex=False, \
max_matches=20) -> [(start, end, text)], ctx.slice(start, end), ctx.chunk(size, overlap=0) -> \
[(start, end, text)], ctx.num_documents(), ctx.get_document(i), ctx.document_lengths(), \
ctx.document_path(i), ctx.locate(position), ctx.chunk_documents(n), ctx.page(n).
- peek(n), tail(n), lenP(): the beginning, the end and the length of P.
- llm_query(prompt): asks a sub-model that sees nothing but your prompt; put the piece of text \
into it. It takes about 100 000 characters well.
- llm_batch([prompt, ...]): the same for many prompts at once, much faster than a loop; answers \
in order.
- ask(question, text), ask_chunks(question, chunks), ask_chunks_first(question, chunks): short \
forms. llm_query_json(prompt, schema={"name": "str", "year": "int?"}), llm_batch_json(prompts, \
schema=...): the answers as parsed JSON of that form; llm_batch_records: a list of records each.
- SHOW_VARS(): your variables. budget(): what you have left of steps, subcalls and tokens.

How to work:
1. Look first: the length, the beginning, what the lines look like.
2. Where text can be searched, counted or parsed by code, use code (import re). It is exact and \
costs nothing.
3. Where text must be understood, cut it into large pieces and ask the sub-model about them, \
many in one llm_batch. A few large pieces beat thousands of small ones.
4. Print little: output is cut. Never print P itself. Keep findings in variables.
5. Check what you found once. Then finish; do not begin again.

A reply is either one block of Python:
```python
hits = ctx.find("invoice", max_matches=5)
print(len(P), [(start, P[start - 80 : end + 80]) for start, end, _ in hits])
```
or the end of the work, alone on its line:
FINAL: the answer itself
or, for an answer that you have built in a variable:
FINAL_VAR: name_of_the_variable
Write a final only when you know the answer; a plan is not an answer."""

SUBCALL_SYSTEM_PROMPT = """\
You are a sub-LLM: you are given one piece of a longer text and a task about it. Do the task from \
this piece alone. Give the answer itself, short and without preamble. When the piece does not \
hold what is asked for, reply NO_ANSWER."""

RECURSIVE_SUBCALL_SYSTEM_PROMPT = (
    """\
You are a sub-RLM, a model with a Python session of its own. The variable P holds the piece of \
text that you were given with its task; work on that piece alone.

"""
    + BASE_SYSTEM_PROMPT
)

LLAMA_SYSTEM_PROMPT = (
    BASE_SYSTEM_PROMPT
    + """

Two rules above all: reply with one ```python block and no other text, or with one FINAL line and \
no other text. Do not write what the code would print: it is run for you."""
)

QWEN_SYSTEM_PROMPT = (
    BASE_SYSTEM_PROMPT
    + """

Every llm_query costs time: put as much text as fits into each prompt, use llm_batch, and make no \
more than some dozens of calls for the whole query. Do not call llm_query once a line."""
)

TINYLLAMA_SYSTEM_PROMPT = """\
You write Python. The text is in the variable P. Reply with code only.
Example:
```python
key = extract_after("The key is")
print(key)
```
When a variable holds the answer, reply with one line:
FINAL_VAR: key"""

RETRIEVAL_SYSTEM_PROMPT_SUPPLEMENT = """

The session also has functions that search documents which are not in P. Search first, keep what \
you find in variables, and answer from it; an empty P does not mean that there is nothing."""

SUMMARY_REQUEST = (
    "There is no step left. From what you have found so far, give the best answer you can, now, "
    "as plain text. Do not write code."
)

FIRST_LOOK = (
    "You have not seen anything of the context yet. Begin by looking at it in the session; do not "
    "answer from nothing.\n\n"
)


def build_system_prompt(
    base_prompt: str, *, retriever_available: bool = False, supplement: str = ""
) -> str:
    """The system prompt with what this run adds to it."""
    addition = RETRIEVAL_SYSTEM_PROMPT_SUPPLEMENT if retriever_available else ""
    return base_prompt + addition + supplement


def build_root_user_message(
    *,
    query: str,
    context_len: int,
    context_type: str = "string",
    num_documents: int = 1,
    document_lengths: Sequence[int] | None = None,
    paths: Sequence[str] = (),
    repl_executed: bool,
    last_stdout: str | None,
    last_error: str | None,
    last_state_summary: str | None = None,
    step: int,
    max_steps: int,
) -> str:
    """The message that a conversation begins with, or, without history, that each step sends."""
    facts = [f"Context type: {context_type}", f"Total length: {context_len} chars"]
    if context_type == "document_list" or num_documents != 1:
        facts.append(f"Number of documents: {num_documents}")
    if bool(document_lengths):
        facts.append(f"Document lengths: {_ends_of(document_lengths)}")
    if paths:
        facts.append(f"Paths: {_ends_of(paths)}")
    first = FIRST_LOOK if step == 1 and not repl_executed else ""
    return (
        f"{first}Query:\n{query}\n\n"
        + "\n".join(facts)
        + f"\nStep: {step}/{max_steps}\nREPL executed: {'yes' if repl_executed else 'no'}\n\n"
        + f"Last REPL stdout:\n{shown(last_stdout, STDOUT_SHOWN)}\n\n"
        + f"Last REPL error:\n{shown(last_error, ERROR_SHOWN)}\n\n"
        + f"Last REPL state summary:\n{shown(last_state_summary, STATE_SHOWN)}"
    )


def build_iteration_message(
    *,
    last_stdout: str | None,
    last_error: str | None,
    last_state_summary: str | None,
    step: int,
    max_steps: int,
    root_query: str | None = None,
) -> str:
    """The message after a step: what the cell did, the query again, and how many steps are left."""
    result = (
        f"[REPL Result]\nstdout:\n{shown(last_stdout, STDOUT_SHOWN)}\n\n"
        f"error:\n{shown(last_error, ERROR_SHOWN)}\n\n"
        f"state:\n{shown(last_state_summary, STATE_SHOWN)}"
    )
    if not bool(root_query):
        return f"{result}\n\nStep: {step}/{max_steps}"
    return (
        f'{result}\n\nThe query is still: "{root_query}"\n'
        f"Step: {step}/{max_steps}. Reply with the next block of Python, or with the final."
    )


def shown(text: str | None, limit: int) -> str:
    """A text as the model is shown it: `<none>` for nothing, and cut at `limit` characters."""
    if text is None or text == "":
        return "<none>"
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n...[truncated {len(text) - limit} chars]"


def _ends_of(items: Sequence[object]) -> str:
    if len(items) <= 10:
        return f"[{', '.join(map(str, items))}]"
    first, last = map(str, items[:5]), map(str, items[-5:])
    return f"[{', '.join(first)}, ... {', '.join(last)}]"
