"""`rlm serve` under load, before a model that takes 50 ms: against that model asked directly."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, floor
from scripts.benches.samples import Series

CLIENTS = (1, 16, 64, 256)
DIRECTLY = "directly"
WORDS = {
    "straight": "a short request, one call of the model",
    "runs": "a question over 100 KB, three calls of the model",
}
FEW, MANY = 1_000, 10_000
EARLY = f"after {FEW:,} requests"
RUNS_AMONG = 20
"""One request in so many is a run."""


def _under_load(arena: Arena, task: str, way: str, clients: int) -> Taken:
    count = max(20, 4 * clients) if way == "straight" else max(6, clients)
    ask = arena.contender("serve").ask
    given = {"way": way, "clients": clients, "count": count, "within": 300.0}
    ours = partial(ask, task, target="ours", **given)
    model = partial(ask, task, target="model", **given)
    return Taken(arena.take({OURS: ours, DIRECTLY: model}, 3))


def _memory(arena: Arena) -> Taken:
    few, many = (max(100, round(count * min(1.0, arena.scale))) for count in (FEW, MANY))
    ask = partial(arena.contender("serve").ask, "memory", runs_among=RUNS_AMONG, within=1_200.0)
    early = tuple(ask(count=few))
    late = tuple(ask(count=many - few))
    return Taken({OURS: Series((late,)), EARLY: Series((early,))})


def _figure(way: str, clients: int, task: str, unit: Unit) -> Figure:
    who = "1 client" if clients == 1 else f"{clients} clients"
    what = "answers a second" if task == "rate" else "time to an answer"
    return Figure(
        f"serve-{way}-{task}-{clients}",
        f"{what} of `rlm serve`, {who}: {WORDS[way]}",
        unit,
        (floor(DIRECTLY),),
        partial(_under_load, task=task, way=way, clients=clients),
        20.0,
    )


FIGURES = (
    *(
        _figure(way, clients, task, unit)
        for way in WORDS
        for clients in CLIENTS
        for task, unit in (("rate", Unit.RATE), ("latency", Unit.SECONDS))
    ),
    Figure(
        "serve-memory",
        f"memory of `rlm serve` after {MANY:,} requests, one in {RUNS_AMONG} a run",
        Unit.BYTES,
        (floor(EARLY, 1.1),),
        _memory,
        120.0,
    ),
)
