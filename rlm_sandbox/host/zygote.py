"""A zygote, seen from the controller: a clean interpreter that forks workers.

The controller never forks itself: a forked child would hold its memory, with every secret in it.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rlm_sandbox.confine.cgroups import Group
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.tiers import Tier
from rlm_sandbox.errors import PackageUnavailable, StartFailed
from rlm_sandbox.host.groups import GROUPS
from rlm_sandbox.host.packages import Packages
from rlm_sandbox.host.texts import file_of, take_back
from rlm_sandbox.modules import Modules
from rlm_sandbox.protocol import (
    Failed,
    Held,
    Hold,
    Learn,
    Learnt,
    Prepare,
    Prepared,
    Settings,
    Start,
    WorkerLimits,
    decode_from_zygote,
    encode,
)

START_SECONDS = 120.0
"""How long a zygote may take to say that it is ready; 0.1 s is usual, packages add their own."""

DYING_SECONDS = 0.5
ENDING_SECONDS = 0.2
"""How long to wait for a zygote that has no workers; one that has some takes as long as they do."""

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
        self.spawned = 0
        """How many workers it has forked."""
        self.held = 0
        """Bytes of the texts that it holds for its workers."""
        try:
            self.prepared = self._await_prepared()
            self.layers = frozenset(map(Layer, self.prepared.layers))
        except BaseException:
            self.abandon()
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
            answer = self._answer()
        except OSError:
            raise StartFailed(
                f"the zygote ended over the text {name!r} of {size:,} bytes"
            ) from None
        finally:
            take_back(descriptor)
        assert isinstance(answer, Held)
        self.held += answer.bytes

    def learn(self, modules: Modules) -> None:
        """Have it load modules for all its workers. Raises StartFailed."""
        self._socket.settimeout(START_SECONDS)
        try:
            ours, theirs = socket.socketpair()
            ours.settimeout(START_SECONDS)
            with ours:
                with theirs:
                    socket.send_fds(self._socket, [encode(Learn())], [theirs.fileno()])
                ours.sendall(modules.packed)
            answer = self._answer()
        except OSError as error:
            raise StartFailed(
                f"the zygote could not load {modules!r}: {error}. A module may neither end its "
                f"process nor take longer than {START_SECONDS:.0f} s"
            ) from None
        self._socket.settimeout(None)
        assert isinstance(answer, Learnt)

    def _answer(self) -> Held | Learnt:
        """What it says to a question that came before its first worker. Raises StartFailed."""
        data = self._socket.recv(MESSAGE_BYTES)
        if not data:
            raise ConnectionResetError("it has ended")
        answer = decode_from_zygote(data)
        if isinstance(answer, Failed):
            raise StartFailed(answer.reason)
        assert isinstance(answer, Held | Learnt)
        return answer

    def spawn(self, place: Prepare, control: socket.socket, session: socket.socket) -> None:
        """Have a worker forked that holds these sockets. Raises OSError if the zygote is gone."""
        with self._sending:
            sockets = [control.fileno(), session.fileno()]
            socket.send_fds(self._socket, [encode(Start(place))], sockets)
            self.spawned += 1

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

    def await_death(self) -> None:
        """For a moment: a process that was killed lets go of its sockets before it is dead."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING_SECONDS)

    def abandon(self) -> None:
        """End the zygote at once: it has no workers, and may be waiting for what a module does."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End the zygote, when its last worker was closed: they live on until then."""
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            waiting = threading.Thread(
                target=self._process.wait, name="rlm-zygote-end", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # this program is ending, and so do the workers
                waiting.start()
        _give_back(self._cradle)
        self._cradle = None


def _give_back(cradle: Cradle | None) -> None:
    """Its init is gone, or going."""
    if cradle is not None and cradle.group is not None:
        GROUPS.give_back(cradle.group)


def import_paths() -> tuple[str, ...]:
    """Where this package and msgspec lie: all that a clean interpreter needs beside its own."""
    msgspec_file = msgspec.__file__
    assert msgspec_file is not None
    homes = (Path(__file__).parent.parent.parent, Path(msgspec_file).parent.parent)
    return tuple(dict.fromkeys(str(home) for home in homes))


def settings_of(tier: Tier, packages: Packages) -> Settings:
    """What a zygote of this tier is told, with these packages."""
    return Settings(
        required=tuple(sorted(tier.required)),
        used_where_possible=tuple(sorted(tier.used_where_possible)),
        import_paths=import_paths(),
        packages=packages.names,
        package_paths=packages.paths,
        search_paths=packages.search_paths,
        groups=GROUPS.bases() if Layer.CGROUP in tier.layers else (),
    )
