"""How long a large text takes to become `P`, and the memory that it takes on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound, floor, peer
from scripts.benches.samples import Sample, Series, added

QUICK_SIZE = 10**8
DECODE = "decode into huge pages"
WRITE = "write into a memfd"
FROM_STR = "1.3 decodes + a memfd write"
PEERS = ("monty", "forkserver")
LONG = 600.0
"""Seconds that a task may take."""


@dataclass(frozen=True)
class Text:
    """A text by its size in bytes of UTF-8 and what it is made of."""

    name: str
    words: str
    size: int
    kind: str

    def bytes(self, arena: Arena) -> int:
        """Quick runs take a tenth of a gigabyte at most."""
        return min(self.size, QUICK_SIZE) if arena.quick else self.size


TEXTS = (
    Text("ascii", "1 GB of ASCII", 10**9, "ascii"),
    Text("mixed", "100 MB of mixed Unicode", 10**8, "mixed"),
)


def _from_str(arena: Arena, text: Text) -> Taken:
    size = text.bytes(arena)
    peers = arena.of_peers("from_str", *PEERS, size=size, kind=text.kind, within=LONG)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        sides = sides_of(arena, size, text.kind, str(Path(home) / "text"))
        return Taken(_with_floor(arena.take(sides | peers, 7)))


def sides_of(arena: Arena, size: int, kind: str, file: str) -> dict[str, Sample]:
    """Ours and what it must cost at least; the file is made."""
    ours = arena.contender("contexts")
    decoder = arena.contender("floor", huge_pages=True)
    decoder.ask("make_text", path=file, size=size, kind=kind, within=LONG)
    return {
        OURS: partial(ours.ask, "from_str", size=size, kind=kind, within=LONG),
        DECODE: partial(decoder.ask, "decoded", path=file, within=LONG),
        WRITE: arena.floor("written", size=size, within=LONG),
    }


def _from_file(arena: Arena, text: Text) -> Taken:
    size = text.bytes(arena)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        file = str(Path(home) / "text")
        sides = sides_of(arena, size, text.kind, file)
        del sides[WRITE]
        ask, length = arena.contender("contexts").ask, Path(file).stat().st_size
        sides[OURS] = partial(ask, "from_file", path=file, length=length, within=LONG)
        return Taken(arena.take(sides, 7))


def _further(arena: Arena, task: str) -> Taken:
    size = TEXTS[0].bytes(arena)
    sample = partial(arena.contender("pool").ask, task, size=size, within=LONG)
    return Taken(arena.take({OURS: sample}, 3, warmup=0))


def _with_floor(taken: dict[str, Series]) -> Mapping[str, Series]:
    taken[FROM_STR] = added(taken[DECODE].map(lambda seconds: 1.3 * seconds), taken[WRITE])
    return taken


def _memory(arena: Arena, text: Text, moment: str) -> Taken:
    """In shares of the text: one byte of the unit is once the text."""
    size = text.bytes(arena)
    found = arena.contender("contexts").ask(
        "memory_from_str", size=size, kind=text.kind, within=LONG
    )
    return Taken({OURS: Series(((found[moment],),))})


def _memory_from_file(arena: Arena) -> Taken:
    size = TEXTS[0].bytes(arena)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        file = str(Path(home) / "text")
        arena.contender("floor").ask(
            "make_text", path=file, size=size, kind=TEXTS[0].kind, within=LONG
        )
        found = arena.contender("contexts").ask(
            "memory_from_file", path=file, length=Path(file).stat().st_size, within=LONG
        )
    return Taken({OURS: Series(((found["peak"],),))})


FIGURES = (
    *(
        Figure(
            f"context-{text.name}",
            f"{text.words}, a `str` here, becomes `P`",
            Unit.SECONDS,
            (floor(FROM_STR, 1.0), floor(DECODE), floor(WRITE), peer("monty", 1.0)),
            partial(_from_str, text=text),
            60.0,
        )
        for text in TEXTS
    ),
    Figure(
        "context-file",
        f"{TEXTS[0].words} in a file becomes `P`",
        Unit.SECONDS,
        (floor(DECODE, 1.3),),
        partial(_from_file, text=TEXTS[0]),
    ),
    *(
        Figure(
            f"context-{moment}",
            f"memory for {TEXTS[0].words} from a `str`, {words}",
            Unit.TIMES,
            (bound(f"{limit} x the text", limit),),
            partial(_memory, text=TEXTS[0], moment=moment),
            10.0,
        )
        for moment, words, limit in (
            ("peak", "at the peak", 2.1),
            ("afterwards", "afterwards", 1.05),
        )
    ),
    Figure(
        "context-file-peak",
        f"memory for {TEXTS[0].words} from a file, at the peak",
        Unit.TIMES,
        (bound("1.1 x the text", 1.1),),
        _memory_from_file,
        10.0,
    ),
    Figure(
        "context-further",
        f"a further worker on the same {TEXTS[0].words}",
        Unit.SECONDS,
        (bound("5 ms", 0.005),),
        partial(_further, task="further_seconds"),
    ),
    Figure(
        "context-further-memory",
        "memory of a further worker on the same text (PSS of all its processes)",
        Unit.BYTES,
        (bound("5 MB", 5e6),),
        partial(_further, task="further_bytes"),
    ),
)
