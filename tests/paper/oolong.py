"""OOLONG (trec_coarse): label every line, then count; OOLONG-Pairs: pairs of users by labels."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

from rlm_core import Context
from tests.paper.task import WORDS, Task, f1, near, size_of

LABELS = ("abbreviation", "entity", "description", "human", "location", "number")
LINES_A_CALL = 200
MOST_USERS = 600
"""Up to 180,000 pairs of them, in texts of any size."""
_LABEL = '''```python
lines = [line for line in P.split("\\n") if line.startswith("Date: ")]
groups = [lines[at : at + {size}] for at in range(0, len(lines), {size})]
TASK = "Give the label of each line, one a line, in order: " + ", ".join({labels})
def read(groups):
    """The labels of each group, or None where the reply is not one label a line."""
    replies = llm_batch([TASK + "\\n" + "\\n".join(group) for group in groups])
    split = [reply.split("\\n") for reply in replies]
    return [each if len(each) == len(group) else None for each, group in zip(split, groups)]
labels = read(groups)
for attempt in range(6):
    missing = [number for number, each in enumerate(labels) if each is None]
    if not missing:
        break
    for number, each in zip(missing, read([groups[number] for number in missing])):
        labels[number] = each
def sure(group):
    """A group that is always misread: smaller pieces are other prompts."""
    each = read([group])[0]
    if each is not None or len(group) < 25:
        return each or []
    half = len(group) // 2
    return sure(group[:half]) + sure(group[half:])
labels = [sure(group) if each is None else each for each, group in zip(labels, groups)]
print(len(lines), "lines,", sum(map(len, labels)), "labels")
```'''
_COUNT = """```python
answer = sum(label == "{label}" for group in labels for label in group)
print(answer)
```"""
_PAIR = """```python
from itertools import combinations
import re
wanted = set()
flat = [label for group in labels for label in group]
for line, label in zip(lines, flat):
    if label in {wanted}:
        wanted.add(int(re.search(r"User: (\\d+)", line)[1]))
answer = list(combinations(sorted(wanted), 2))
print(len(wanted), len(answer))
```"""


@dataclass(frozen=True)
class Corpus:
    """Lines of users, and the label that each line has and does not show."""

    lines: tuple[str, ...]
    users: tuple[int, ...]

    @property
    def context(self) -> Context:
        return Context.from_text("\n".join(self.lines))


def corpus(tokens: int, seed: int = 0, *, users: int | None = None) -> Corpus:
    """Lines of that many tokens in all."""
    chance = random.Random(seed)
    lines: list[str] = []
    who: list[int] = []
    left = size_of(tokens)
    most = users or min(MOST_USERS, max(20, left // 2_000))
    while left > 0:
        user = chance.randrange(most)
        day = f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        said = " ".join(chance.choices(WORDS, k=6)).capitalize()
        line = f"Date: {day} || User: {user} || Instance: {said} {len(lines)}?"
        lines.append(line)
        who.append(user)
        left -= len(line) + 1
    return Corpus(tuple(lines), tuple(who))


def label_of(line: str) -> str:
    """The hidden label: only an attentive reader knows."""
    return LABELS[hashlib.sha256(line.encode()).digest()[0] % len(LABELS)]


def reader(prompt: str) -> str:
    """Labels each line of a prompt."""
    return "\n".join(label_of(line) for line in prompt.split("\n") if line.startswith("Date: "))


def counting(tokens: int, seed: int = 0) -> Task:
    """How many lines have one label."""
    made = corpus(tokens, seed)
    label = random.Random(seed).choice(LABELS)
    return Task(
        f"OOLONG/{tokens}",
        made.context,
        f"How many instances are to be labelled '{label}'?",
        sum(label_of(line) == label for line in made.lines),
        int,
        (_labelling(tokens), _COUNT.format(label=label), "FINAL_VAR: answer"),
        reader,
        near,
    )


def pairs(tokens: int, seed: int = 0, *, users: int | None = None) -> Task:
    """All pairs of users who both have a line with one of two labels, the lower number first."""
    made = corpus(tokens, seed, users=users)
    wanted = ("entity", "number")
    labels: dict[int, set[str]] = defaultdict(set)
    for line, user in zip(made.lines, made.users, strict=True):
        labels[user].add(label_of(line))
    chosen = sorted(user for user, has in labels.items() if has & set(wanted))
    return Task(
        f"OOLONG-Pairs/{tokens}",
        made.context,
        f"List all pairs of users who both have an instance labelled {' or '.join(wanted)}.",
        list(combinations(chosen, 2)),
        list[tuple[int, int]],
        (_labelling(tokens), _PAIR.format(wanted=wanted), "FINAL_VAR: answer"),
        reader,
        f1,
    )


def _labelling(tokens: int) -> str:
    """More lines a call where there are more lines: a few hundred calls at most."""
    lines = size_of(tokens) // 100
    return _LABEL.format(size=max(LINES_A_CALL, lines // 200), labels=LABELS)
