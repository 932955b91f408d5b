"""The zygotes of this process: which there are, and in which tier of isolation."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
from dataclasses import dataclass

from rlm_sandbox.confine import tiers
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.tiers import Tier
from rlm_sandbox.errors import IsolationUnavailable, SandboxError
from rlm_sandbox.host.packages import find
from rlm_sandbox.host.texts import Texts
from rlm_sandbox.host.zygote import Cradle, LayerRefused, Zygote, settings_of
from rlm_sandbox.modules import Modules
from rlm_sandbox.protocol import Prepare, WorkerLimits


@dataclass(frozen=True)
class Breed:
    """What kind of zygote a sandbox needs: sandboxes of one breed share one."""

    isolation: str = "auto"
    packages: tuple[str, ...] = ()
    without: frozenset[Layer] = frozenset()
    texts: Texts | None = None
    """What its workers find under these names, protected: they share it without a copy."""
    modules: Modules | None = None
    """What its workers find loaded."""


WORKERS_PER_ZYGOTE = 1_000
"""All workers of a zygote have its memory layout and hash seed: what one learns of them is worth
nothing to those that come after so many."""


class Nursery:
    """This process's zygotes, one a breed: started when first needed, again when one has died.

    A zygote that has forked `workers_per_zygote` workers (None: no end) is replaced by a new one,
    which is made ready meanwhile; but for one that holds texts, which would be there twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygotes: dict[Breed, Zygote] = {}
        self._tiers: dict[Breed, Tier] = {}
        self._renewing: set[Breed] = set()
        self.workers_per_zygote: int | None = WORKERS_PER_ZYGOTE

    def tier(self, breed: Breed) -> Tier:
        """The strongest tier that satisfies the breed here. Raises IsolationUnavailable."""
        with self._lock:
            if breed not in self._tiers:
                self._raise(breed)
            return self._tiers[breed]

    def held(self, breed: Breed) -> int:
        """Bytes of text that a worker of this breed has in memory from the start."""
        with self._lock:
            zygote = self._zygotes.get(breed)
        return 0 if zygote is None else zygote.held

    def layers(self, breed: Breed) -> frozenset[Layer]:
        """The layers that workers of this breed are under."""
        with self._lock:
            zygote = self._zygotes.get(breed) or self._raise(breed)
            return zygote.layers

    def spawn(
        self, breed: Breed, place: Prepare, control: socket.socket, session: socket.socket
    ) -> None:
        with self._lock:
            zygote = self._zygotes.get(breed)
            if zygote is not None:
                try:
                    zygote.spawn(place, control, session)
                except OSError:  # it was killed: its workers live on, new ones need a new zygote
                    zygote.close()
                else:
                    self._renew_if_worn(breed, zygote)
                    return
            self._raise(breed).spawn(place, control, session)

    def _renew_if_worn(self, breed: Breed, zygote: Zygote) -> None:
        """Have a zygote that has forked its share of workers replaced, while it goes on."""
        most = self.workers_per_zygote
        if most is None or zygote.spawned < most or breed in self._renewing:
            return
        if breed.texts is not None:
            return
        self._renewing.add(breed)
        renewal = (breed, zygote, Tier(self._tiers[breed].name, zygote.layers))
        threading.Thread(target=self._renew, args=renewal, name="rlm-renewal", daemon=True).start()

    def _renew(self, breed: Breed, former: Zygote, tier: Tier) -> None:
        try:
            # One that cannot be had now is tried for again at the next worker.
            with contextlib.suppress(SandboxError, LayerRefused, OSError):
                spare = _furnished(Zygote(settings_of(tier, find(breed.packages))), breed)
                with self._lock:
                    if self._zygotes.get(breed) is former:
                        self._zygotes[breed], spare = spare, former
                spare.close()
        finally:
            self._renewing.discard(breed)

    def take_cradle(self, breed: Breed, limits: WorkerLimits) -> Cradle | None:
        """What stands ready for a worker of this breed with these limits, if anything does."""
        with self._lock:
            zygote = self._zygotes.get(breed)
        return zygote.take_cradle(limits) if zygote is not None else None

    def prepare(self, breed: Breed, limits: WorkerLimits) -> None:
        """Have a cradle made ready for the next worker of this breed, meanwhile."""
        with self._lock:
            zygote = self._zygotes.get(breed)
            if zygote is not None:  # under the lock: one that is replaced has given its cradle back
                zygote.prepare(limits)

    def await_loss(self, breed: Breed) -> None:
        """If its zygote was killed just now, have it be dead: the next spawn finds that out."""
        with self._lock:
            zygote = self._zygotes.get(breed)
            if zygote is not None:
                zygote.await_death()

    def _raise(self, breed: Breed) -> Zygote:
        """Start a zygote of this breed in the strongest tier that the host offers."""
        isolation = breed.isolation
        choices = self._choices(breed)
        if (reason := tiers.unsupported(isolation)) is not None:
            raise IsolationUnavailable(reason)
        packages = find(breed.packages)
        refusals: list[str] = []
        for choice in choices:
            tier = choice.without(breed.without)
            try:
                zygote = Zygote(settings_of(tier, packages))
            except LayerRefused as refused:
                refusals.append(f"{tier.name}: {refused}")
                continue
            self._zygotes[breed], self._tiers[breed] = _furnished(zygote, breed), tier
            return zygote
        advice = dict.fromkeys(tiers.remedy(refusal) for refusal in refusals)
        raise IsolationUnavailable(
            f"this host does not offer isolation={isolation!r} ({'; '.join(refusals)}). "
            f"What helps: {'. '.join(advice)}."
        )

    def _choices(self, breed: Breed) -> tuple[Tier, ...]:
        """A zygote that replaces another puts on the same layers: that is what users were told."""
        former = self._zygotes.get(breed)
        if former is None:
            return tiers.choices(breed.isolation)
        return (Tier(self._tiers[breed].name, former.layers),)

    def pids(self) -> list[int]:
        """The process ids of the zygotes that have been started."""
        return [zygote.pid for zygote in self._zygotes.values()]

    def retire(self, breed: Breed) -> None:
        """End the zygote of this breed, if there is one: its workers live on until closed."""
        with self._lock:
            zygote = self._zygotes.pop(breed, None)
            self._tiers.pop(breed, None)
        if zygote is not None:
            zygote.close()

    def descriptors(self) -> list[int]:
        """The descriptors that lead to the zygotes."""
        return [zygote.descriptor for zygote in self._zygotes.values()]

    def close(self) -> None:
        with self._lock:
            while self._zygotes:
                self._zygotes.popitem()[1].close()

    def forget(self) -> None:
        """In a forked child of the controller: the zygotes are the parent's."""
        most = self.workers_per_zygote
        self.__init__()
        self.workers_per_zygote = most


def _furnished(zygote: Zygote, breed: Breed) -> Zygote:
    """The zygote, which has what all workers of this breed have. Raises SandboxError."""
    try:
        if breed.modules is not None:
            zygote.learn(breed.modules)
        if breed.texts is not None:
            for name, text in breed.texts.items():
                zygote.hold(name, text)
    except BaseException:
        zygote.abandon()
        raise
    return zygote


def recycle_zygotes(after: int | None) -> None:
    """Replace a zygote when it has forked so many workers, 1,000 unless told; None for never.

    The workers of one zygote are forks of it: they have one memory layout and one hash seed.
    Running workers are not touched, and nobody waits: the new one is made ready beside the old.
    """
    if after is not None and after < 1:
        raise ValueError(
            f"a zygote is recycled after at least 1 worker, or None for never: {after!r}"
        )
    NURSERY.workers_per_zygote = after


NURSERY = Nursery()
atexit.register(NURSERY.close)
os.register_at_fork(after_in_child=NURSERY.forget)
