"""Where contenders meet: they are started when first needed and stay until the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from scripts.benches.contender import Contender, ContenderFailed
from scripts.benches.samples import Sample, Series, interleaved

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclass(frozen=True)
class Peer:
    """Another project's sandbox: how its contender is started."""

    name: str
    python: str


@dataclass
class Arena:
    """What every figure is measured in. Close it: its contenders are processes."""

    scale: float = 1.0
    """Rounds, as a share of what a figure asks for."""
    peers: Mapping[str, Peer] = field(default_factory=dict)
    quick: bool = False
    """Smaller texts and fewer sessions, too."""
    cores: Sequence[int] = tuple(sorted(os.sched_getaffinity(0)))[:2]
    complaints: list[str] = field(default_factory=list)
    """What went wrong with peers; the rest goes on."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What one figure has measured for others."""
    _contenders: dict[tuple[str, tuple[int, ...], bool], Contender] = field(default_factory=dict)

    def contender(
        self, name: str, cores: Sequence[int] = (), *, huge_pages: bool = False
    ) -> Contender:
        """The contender of this name on these cores; () means wherever the kernel likes."""
        key = (name, tuple(cores), huge_pages)
        if key not in self._contenders:
            environment = HUGE_PAGES if huge_pages else None
            if name in self.peers:
                python = self.peers[name].python
                made = Contender(name, cores, python=python, environment=environment)
            else:
                made = Contender(name, cores, environment=environment)
            self._contenders[key] = made
        return self._contenders[key]

    def ours(self, task: str, **arguments: object) -> Sample:
        """A sample of this project's sandbox."""
        return partial(self.contender("ours").ask, task, **arguments)

    def floor(self, task: str, **arguments: object) -> Sample:
        """A sample of a floor."""
        return partial(self.contender("floor").ask, task, **arguments)

    def of_peers(
        self, task: str, *names: str, cores: Sequence[int] = (), **arguments: object
    ) -> dict[str, Sample]:
        """Samples of those of the peers that are here and know the task, by name."""
        found: dict[str, Sample] = {}
        for name in names or tuple(self.peers):
            if name not in self.peers:
                continue
            try:
                contender = self.contender(name, cores)
            except ContenderFailed as failed:
                self.complain(str(failed))
                continue
            if task in contender.tasks:
                found[name] = partial(contender.ask, task, **arguments)
        return found

    def take(
        self, sides: Mapping[str, Sample], rounds: int, *, warmup: int = 1
    ) -> dict[str, Series]:
        """The sides in turns. A peer that fails is left out, and the others start again."""
        sides = dict(sides)
        while True:
            tried: list[str] = []
            watched = {name: _watched(name, one, tried) for name, one in sides.items()}
            try:
                return interleaved(watched, self.rounds(rounds), warmup)
            except ContenderFailed as failed:
                if tried[-1] not in self.peers:
                    raise
                self.complain(str(failed))
                del sides[tried[-1]]
                self._dismiss(tried[-1])

    def rounds(self, wanted: int) -> int:
        """So many rounds, or fewer in a quick run."""
        return max(2, round(wanted * self.scale))

    def complain(self, text: str) -> None:
        """Keep what went wrong for the report."""
        if text not in self.complaints:
            self.complaints.append(text)

    def rest(self) -> None:
        """End all contenders, so that no figure is measured beside what another has left."""
        while self._contenders:
            self._contenders.popitem()[1].close()

    def _dismiss(self, name: str) -> None:
        for key in [key for key in self._contenders if key[0] == name]:
            self._contenders.pop(key).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.rest()


def _watched(name: str, sample: Sample, tried: list[str]) -> Callable[[], Any]:
    return partial(_noting, name, sample, tried)


def _noting(name: str, sample: Sample, tried: list[str]) -> Sequence[float]:
    tried.append(name)
    return sample()
