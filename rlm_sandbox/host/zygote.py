"""Starts zygotes, clean interpreters, and has them fork workers.

The controller never forks itself: a forked child would hold its memory, with every secret in it.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rlm_sandbox.confine import tiers
from rlm_sandbox.confine.cgroups import Group
from rlm_sandbox.confine.lockdown import Layer
from rlm_sandbox.confine.tiers import Tier
from rlm_sandbox.errors import IsolationUnavailable, PackageUnavailable, StartFailed
from rlm_sandbox.host.groups import GROUPS
from rlm_sandbox.host.packages import Packages, find
from rlm_sandbox.host.texts import Texts, file_of
from rlm_sandbox.protocol import (
    Failed,
    Held,
    Hold,
    Prepare,
    Prepared,
    Settings,
    Spawn,
    WorkerLimits,
    decode_from_zygote,
    encode,
)

START_SECONDS = 120.0
"""How long a zygote may take to say that it is ready; 0.1 s is usual, packages add their own."""

DYING_SECONDS = 0.5

SCRIPT = Path(__file__).parent.parent / "worker" / "boot.py"

MESSAGE_BYTES = 64 * 1024

ENVIRONMENT = {
    # malloc asks for huge pages: a large context decodes 4 x faster and forks 20 x faster
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # one arena more than the main one: threads do not reserve 64 MB of address space each
    "MALLOC_ARENA_MAX": "2",
    # numeric libraries start their threads in the worker that wants them, not in the zygote
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that the zygote's environment holds."""


@dataclass(frozen=True)
class Cradle:
    """What a zygote has standing ready: an init for a worker with a `/tmp` of so many bytes."""

    tmp_bytes: int
    group: Group | None
    """The control group that it has joined, where there are any."""


class LayerRefused(Exception):
    """The host does not let the zygote put on a layer that its tier stands on."""


class Zygote:
    """One zygote process. Threads may spawn from it at once. Raises LayerRefused, StartFailed."""

    def __init__(self, settings: Settings) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = (str(SCRIPT), str(theirs.fileno()), msgspec.json.encode(settings).decode())
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
                (sys.executable, "-I", "-S", "-X", "utf8", *script),
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # so that Ctrl-C in a terminal reaches only the controller
            )
        self._socket = ours
        self._sending = threading.Lock()
        self._cradle: Cradle | None = None
        self.held = 0
        """Bytes of the texts that it holds for its workers."""
        try:
            self.prepared = self._await_prepared()
            self.layers = frozenset(map(Layer, self.prepared.layers))
        except BaseException:
            self.close()
            raise

    def _await_prepared(self) -> Prepared:
        assert self._process.stderr is not None
        self._socket.settimeout(START_SECONDS)
        try:
            data = self._socket.recv(MESSAGE_BYTES)
        except TimeoutError:
            raise StartFailed(f"the zygote was not ready within {START_SECONDS:.0f} s") from None
        if not data:
            said = self._process.stderr.read(4_000).decode(errors="replace").strip()
            raise StartFailed(f"the zygote ended while it started: {said or 'it said nothing'}")
        message = decode_from_zygote(data)
        if isinstance(message, Failed):
            if message.fault == "package":
                raise PackageUnavailable(message.reason)
            raise LayerRefused(message.reason)
        assert isinstance(message, Prepared)
        self._socket.settimeout(None)
        self._process.stderr.close()
        return message

    def hold(self, name: str, text: str) -> None:
        """Have it hold a text for all its workers. Raises StartFailed, ControllerExhausted."""
        descriptor, size = file_of(text)
        try:
            socket.send_fds(self._socket, [encode(Hold(name, size))], [descriptor])
            answer = decode_from_zygote(self._socket.recv(MESSAGE_BYTES))
        except (OSError, msgspec.MsgspecError):
            raise StartFailed(
                f"the zygote ended over the text {name!r} of {size:,} bytes"
            ) from None
        finally:
            os.close(descriptor)
        if isinstance(answer, Failed):
            raise StartFailed(answer.reason)
        assert isinstance(answer, Held)
        self.held += answer.bytes

    def spawn(self, spawn: Spawn, control: socket.socket, session: socket.socket) -> None:
        """Have a worker forked that holds these sockets. Raises OSError if the zygote is gone."""
        with self._sending:
            socket.send_fds(self._socket, [encode(spawn)], [control.fileno(), session.fileno()])

    def take_cradle(self, limits: WorkerLimits) -> Cradle | None:
        """What stands ready, if it will do for a worker with these limits. Then spawn that one."""
        with self._sending:
            cradle = self._cradle
            if cradle is None or cradle.tmp_bytes != limits.tmp_bytes:
                return None
            self._cradle = None
            return cradle

    def prepare(self, limits: WorkerLimits) -> None:
        """Have a cradle ready for the next worker, if it has these limits; does not wait for it."""
        with self._sending:
            former = self._cradle
            if former is not None and former.tmp_bytes == limits.tmp_bytes:
                return
            try:
                group = GROUPS.take(limits) if Layer.CGROUP in self.layers else None
                self._cradle = Cradle(limits.tmp_bytes, group)
                place = Prepare(limits.tmp_bytes, group.name if group else None)
                self._socket.send(encode(place))
            except OSError:  # the next spawn finds out, and says it
                pass
        _give_back(former)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def has_died(self) -> bool:
        """Waits a moment: a process that was killed lets go of its sockets before it is dead."""
        try:
            self._process.wait(DYING_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End the zygote; workers that it has forked live on until they are closed."""
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _give_back(self._cradle)
        self._cradle = None


def _give_back(cradle: Cradle | None) -> None:
    """Its init is gone, or going."""
    if cradle is not None and cradle.group is not None:
        GROUPS.give_back(cradle.group)


@dataclass(frozen=True)
class Breed:
    """What kind of zygote a sandbox needs: sandboxes of one breed share one."""

    isolation: str = "auto"
    packages: tuple[str, ...] = ()
    without: frozenset[Layer] = frozenset()
    texts: Texts | None = None
    """What its workers find under these names, protected: they share it without a copy."""


class Nursery:
    """This process's zygotes, one a breed: started when first needed, again when one has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygotes: dict[Breed, Zygote] = {}
        self._tiers: dict[Breed, Tier] = {}

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
        self, breed: Breed, spawn: Spawn, control: socket.socket, session: socket.socket
    ) -> None:
        with self._lock:
            zygote = self._zygotes.get(breed)
            if zygote is not None:
                try:
                    zygote.spawn(spawn, control, session)
                except OSError:  # it was killed: its workers live on, new ones need a new zygote
                    zygote.close()
                else:
                    return
            self._raise(breed).spawn(spawn, control, session)

    def take_cradle(self, breed: Breed, limits: WorkerLimits) -> Cradle | None:
        """What stands ready for a worker of this breed with these limits, if anything does."""
        with self._lock:
            zygote = self._zygotes.get(breed)
        return zygote.take_cradle(limits) if zygote is not None else None

    def prepare(self, breed: Breed, limits: WorkerLimits) -> None:
        """Have a cradle made ready for the next worker of this breed, meanwhile."""
        with self._lock:
            zygote = self._zygotes.get(breed)
        if zygote is not None:
            zygote.prepare(limits)

    def lost(self, breed: Breed) -> bool:
        """True if the breed's zygote has died, as the next spawn would find out."""
        with self._lock:
            zygote = self._zygotes.get(breed)
            return zygote is None or zygote.has_died()

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
                zygote = Zygote(_settings(tier, packages))
            except LayerRefused as refused:
                refusals.append(f"{tier.name}: {refused}")
                continue
            try:
                for name, text in breed.texts.items() if breed.texts is not None else ():
                    zygote.hold(name, text)
            except BaseException:
                zygote.close()
                raise
            self._zygotes[breed], self._tiers[breed] = zygote, tier
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
        self.__init__()


def import_paths() -> tuple[str, ...]:
    """Where this package and msgspec lie: all that a clean interpreter needs beside its own."""
    msgspec_file = msgspec.__file__
    assert msgspec_file is not None
    homes = (Path(__file__).parent.parent.parent, Path(msgspec_file).parent.parent)
    return tuple(dict.fromkeys(str(home) for home in homes))


def _settings(tier: Tier, packages: Packages) -> Settings:
    return Settings(
        required=tuple(sorted(tier.required)),
        used_where_possible=tuple(sorted(tier.used_where_possible)),
        import_paths=import_paths(),
        packages=packages.names,
        package_paths=packages.paths,
        search_paths=packages.search_paths,
        groups=GROUPS.bases() if Layer.CGROUP in tier.layers else (),
    )


NURSERY = Nursery()
atexit.register(NURSERY.close)
os.register_at_fork(after_in_child=NURSERY.forget)
