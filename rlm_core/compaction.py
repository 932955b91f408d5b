"""What is left of older turns when a history grows too long: a summary by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CODE_CHARS = 240
OUTPUT_CHARS = 320
LONGEST_SUMMARY = 12_000
"""Characters; beyond it the oldest lines go."""
HEADING = "[Earlier steps, summarised. Variables that they made are still there: SHOW_VARS()]"
REQUEST = (
    "Before you go on: the conversation is growing too long, and its older part will be replaced "
    "by a summary. Write that summary now, as plain text: what was tried, what was found (values "
    "exactly), which variables hold what, and what is still to be done. Do not write code."
)
_LEFT_OUT = "(the summary of still earlier steps was left out)"


def summary_of(turns: Sequence[dict[str, str]], *, before: str = "") -> str:
    """A line or two for each pair of reply and result, after what had been summarised `before`."""
    pairs = zip(turns[0::2], turns[1::2], strict=False)
    lines = before.split("\n") if before else []
    for reply, result in pairs:
        lines += _pair(reply["content"], result["content"])
    return bounded(lines)


def bounded(lines: list[str]) -> str:
    """The last lines that fit."""
    length = sum(map(len, lines)) + len(lines)
    if length <= LONGEST_SUMMARY:
        return "\n".join(lines)
    lines = [line for line in lines if line != _LEFT_OUT]
    while len(lines) > 1 and length > LONGEST_SUMMARY:
        length -= len(lines.pop(0)) + 1
    return "\n".join([_LEFT_OUT, lines[0][-LONGEST_SUMMARY:], *lines[1:]])


def _pair(reply: str, result: str) -> list[str]:
    lines = [f"- ran: {_short(_code_in(reply), CODE_CHARS)}"]
    for label in ("stdout", "error", "state"):
        said = _part(result, label)
        if said != "<none>" and said:
            lines.append(f"  {label}: {_short(said, OUTPUT_CHARS)}")
    return lines


def _part(result: str, label: str) -> str:
    """What stands below a label in a result as `prompts.build_iteration_message` writes it."""
    _, found, rest = result.partition(f"{label}:\n")
    if not found:
        return ""
    ends = [rest.find(mark) for mark in ("\n\nerror:\n", "\n\nstate:\n", "\n\nThe query is still")]
    ends = [end for end in ends if end >= 0]
    return rest[: min(ends)].strip() if ends else rest.strip()


def _code_in(reply: str) -> str:
    """The code of a reply without its fence."""
    _, fence, rest = reply.partition("```")
    if not fence:
        return reply
    body = rest.partition("```")[0]
    return body.partition("\n")[2] or body


def _short(text: str, limit: int) -> str:
    line = "; ".join(part.strip() for part in text.strip().splitlines() if part.strip())
    return line if len(line) <= limit else f"{line[:limit]} ..."
