"""BrowseComp+ in kind: a question whose answer takes several documents out of a thousand."""

from __future__ import annotations

import random
import re

from rlm_core import Context
from tests.paper.task import Task, filler, size_of

DOCUMENTS = 1_000
HOPS = (
    ("founded", "Who founded {}?", "{} was founded by {}."),
    ("born", "In which town was {} born?", "{} was born in the town of {}."),
    ("river", "Which river flows through {}?", "Through {} flows the river {}."),
    (
        "bridge",
        "Who built the bridge over the river {}?",
        "The bridge over the {} was built by {}.",
    ),
)
_SYLLABLES = [
    *("bar", "den", "fol", "gim", "hes", "jor", "kal", "lum", "mor", "nev"),
    *("ost", "pra", "quil", "ras", "sut", "tev", "ulm", "vor", "wes", "yar"),
]
_LOOK = '''```python
start = "{start}"
docs = [ctx.get_document(number) for number in range(ctx.num_documents())]
def passages(name):
    """What stands around each mention of a name, a passage a document."""
    found = []
    for document in docs:
        at = document.find(name)
        if at >= 0:
            found.append(document[max(0, at - 300) : at + 300])
    return found
def ask_all(question, name):
    """The answer that most passages give: some readers fail, some are wrong."""
    votes = {{}}
    for attempt in range(4):
        for said in ask_chunks(question + " " * attempt, passages(name), parallel=True):
            short = pick_first_answer([said])
            if short and short != "I am not sure." and "language model" not in short:
                votes[short] = votes.get(short, 0) + 1
        if votes:
            break
    return max(votes, key=votes.get) if votes else None
print(ctx.num_documents(), len(passages(start)))
```'''
_HOP = """```python
{into} = ask_all("{question}".format({name}), {name})
print({into})
```"""


def task(tokens: int, seed: int = 0) -> Task:
    """A thousand documents of that many tokens in all, and a chain of four facts among them."""
    chance = random.Random(seed)
    names = _names(chance, 4_000)
    chain = [names.pop() for _ in range(len(HOPS) + 1)]
    facts = [form.format(chain[at], chain[at + 1]) for at, (_, _, form) in enumerate(HOPS)]
    facts += [_decoy(chance, names, chain) for _ in range(DOCUMENTS - len(facts))]
    chance.shuffle(facts)
    each = max(200, size_of(tokens) // DOCUMENTS)
    block = filler(chance, each * 8)
    documents = [_document(chance, block, fact, each) for fact in facts]
    steps = [_LOOK.format(start=chain[0])]
    for at, (_, question, _) in enumerate(HOPS):
        name, into = ("start" if at == 0 else f"hop{at}"), f"hop{at + 1}"
        steps.append(_HOP.format(question=question, name=name, into=into))
    question = (
        f"Who built the bridge over the river of the town where the founder of {chain[0]} was born?"
    )
    return Task(
        f"BrowseComp/{tokens}",
        Context.from_documents(documents),
        question,
        chain[-1],
        str,
        (*steps, f"FINAL_VAR: hop{len(HOPS)}"),
        reader,
    )


def reader(prompt: str) -> str:
    """Answers a hop only where its fact stands in the prompt."""
    asked, _, text = prompt.removeprefix("Question: ").partition("\nSnippet:\n")
    for _, question, form in HOPS:
        named = re.fullmatch(re.escape(question).replace(r"\{\}", "(.+?)"), asked.strip())
        if named is not None:
            fact = (
                re.escape(form).replace(r"\{\}", re.escape(named[1]), 1).replace(r"\{\}", r"(\w+)")
            )
            found = re.search(fact, text)
            return found[1] if found else "NO_ANSWER"
    return "NO_ANSWER"


def _names(chance: random.Random, count: int) -> list[str]:
    """Names that are no parts of each other."""
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(chance.choices(_SYLLABLES, k=4)).capitalize() + "ia"] = None
    return list(made)


def _decoy(chance: random.Random, names: list[str], chain: list[str]) -> str:
    """A fact about others, or a mention of the chain that answers nothing."""
    one, other = chance.sample(names, 2)
    if chance.random() < 0.05:
        return f"{chance.choice(chain[:-1])} is often confused with {one}, who never saw {other}."
    return chance.choice(HOPS)[2].format(one, other)


def _document(chance: random.Random, block: str, fact: str, characters: int) -> str:
    start = chance.randrange(len(block) - characters)
    at = chance.randrange(characters)
    text = block[start : start + characters]
    return f"{text[:at]} {fact} {text[at:]}"
