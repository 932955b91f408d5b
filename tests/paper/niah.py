"""S-NIAH (RULER): one key with its value in filler; work that does not grow with the text."""

from __future__ import annotations

import random

from rlm_core import Context
from tests.paper.task import Task, filler, size_of

_PROGRAM = """```python
import re
print(len(P), peek(200))
found = re.search(r"The magic number of {key} is (\\d+)\\.", P)
answer = int(found[1]) if found else None
print(answer)
```"""


def task(tokens: int, seed: int = 0) -> Task:
    """A text of that many tokens, and the number that stands in it once."""
    chance = random.Random(seed)
    number = chance.randrange(10**6, 10**7)
    key = f"the {chance.choice(['amber', 'cobalt', 'ivory'])} heron"
    decoys = [f"The magic number of the grey heron is {number + 1}.", f"Seek {key} by the water."]
    text = filler(chance, size_of(tokens))
    for sentence in (*decoys, f"The magic number of {key} is {number}."):
        at = text.index(" ", chance.randrange(len(text) - 200))
        text = f"{text[:at]} {sentence}{text[at:]}"
    return Task(
        f"S-NIAH/{tokens}",
        Context.from_text(text),
        f"What is the magic number of {key}?",
        number,
        int,
        (_PROGRAM.format(key=key), "FINAL_VAR: answer"),
        _nobody,
    )


def _nobody(prompt: str) -> str:
    raise AssertionError(f"a needle is found by code: {prompt[:80]}")
