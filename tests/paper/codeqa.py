"""LongBench-v2 CodeQA in kind: which value comes out of a chain of calls through a package?"""

from __future__ import annotations

import random
from typing import Literal

from rlm_core import Context
from tests.paper.task import Task, size_of

DEPTH = 12
Choice = Literal["A", "B", "C", "D"]
_PROGRAM = '''```python
import ast
numbers = {}
for number in range(ctx.num_documents()):
    numbers[ctx.document_path(number).removesuffix(".py").replace("/", ".")] = number
parsed = {}
def functions_of(module):
    """The functions of a module and what it imports, parsed when it is first asked for."""
    if module not in parsed:
        tree = ast.parse(ctx.get_document(numbers[module]))
        imported = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        defined = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        parsed[module] = {node.name: node for node in defined}, imported
    return parsed[module]
print(len(numbers), "modules")
```'''
_FOLLOW = '''```python
def value_of(name):
    """What a function without arguments returns: a number, or a call and an addition."""
    module, _, own = name.rpartition(".")
    functions, imported = functions_of(module)
    return evaluate(functions[own].body[-1].value, imported, module)
def evaluate(node, imported, module):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        left, right = (evaluate(each, imported, module) for each in (node.left, node.right))
        return left + right if isinstance(node.op, ast.Add) else left * right
    called = node.func.id
    return value_of(imported.get(called, f"{{module}}.{{called}}"))
found = value_of("{entry}")
choices = {choices}
answer = next((letter for letter, value in choices.items() if value == found), None)
print(found, answer)
```'''


def task(tokens: int, seed: int = 0) -> Task:
    """A package of that many tokens; a function in it calls through twelve modules."""
    chance = random.Random(seed)
    count = max(DEPTH + 1, size_of(tokens) // 3_000)
    modules = [f"shop/part_{number:05}.py" for number in range(count)]
    path = chance.sample(range(count), DEPTH)
    steps = [chance.randrange(1, 100) for _ in path]
    sources = {number: _module(chance, number, count, tokens) for number in range(count)}
    for at, number in enumerate(path):
        last = at == len(path) - 1
        following = None if last else path[at + 1]
        sources[number] = _chained(at, following, steps[at]) + sources[number]
    value = sum(steps)
    wrong = [value + chance.choice([-1, 1]) * off for off in (1, 7, 30)]
    letters = dict(zip("ABCD", chance.sample([value, *wrong], 4), strict=True))
    entry = f"shop.part_{path[0]:05}.total_0"
    listed = ", ".join(f"{letter}) {each}" for letter, each in letters.items())
    made = Context.from_documents(sources[number] for number in range(count))
    return Task(
        f"CodeQA/{tokens}",
        Context(made.text, made.documents, made.context_type, tuple(modules)),
        f"What does {entry}() return? {listed}",
        next(letter for letter, each in letters.items() if each == value),
        Choice,
        (_PROGRAM, _FOLLOW.format(entry=entry, choices=letters), "FINAL_VAR: answer"),
        _nobody,
    )


def _chained(at: int, following: int | None, step: int) -> str:
    """The function of one link, which adds its number to what the next one gives."""
    if following is None:
        return f"def total_{at}():\n    return {step}\n\n\n"
    called = f"from shop.part_{following:05} import total_{at + 1} as further\n\n\n"
    return f"{called}def total_{at}():\n    return further() + {step}\n\n\n"


def _module(chance: random.Random, number: int, count: int, tokens: int) -> str:
    """Functions that have nothing to do with it; some have nearly the same names."""
    lines: list[str] = []
    wanted = min(3_000, size_of(tokens) // count)
    length = 0
    while length < wanted:
        name = chance.choice(["price", "weight", "total", "stock"])
        other = f"{name}_{len(lines) + 100}"
        lines.append(
            f"def {other}():\n"
            f'    """The {name} of part {number}, counted in units."""\n'
            f"    return {chance.randrange(1000)} * {chance.randrange(9)}\n\n\n"
        )
        length += len(lines[-1])
    return "".join(lines)


def _nobody(prompt: str) -> str:
    raise AssertionError(f"code is followed by code: {prompt[:80]}")
