"""The process from which workers are forked: their imports done, its part of the wall in place."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import warnings
from functools import partial
from typing import NoReturn

import msgspec

from rlm_sandbox.confine import landlock, libc, lockdown, namespaces, privileges
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import (
    Died,
    Failed,
    ForZygote,
    Held,
    Hold,
    Learn,
    Learnt,
    Prepare,
    Prepared,
    Settings,
    Spawn,
    Start,
    WorkerLimits,
    decode_for_zygote,
    decode_from_init,
    encode,
)
from rlm_sandbox.worker import init, modules
from rlm_sandbox.worker.immortal import immortalize
from rlm_sandbox.worker.texts import HELD, read_text

PRELOADED = (
    *("ast", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum"),
    *("functools", "heapq", "itertools", "json", "math", "mmap", "operator", "pprint", "random"),
    *("re", "statistics", "string", "textwrap", "threading", "time", "traceback", "typing"),
    *("linecache", "contextlib", "io"),
    "array",  # socket.send_fds wants it, in an init that may not be able to read the library
)
"""What a worker finds imported; anything else it imports itself."""

REQUEST_BYTES = 1024 * 1024


class PackageFailed(Exception):
    """A package asked for raised while it was imported."""


class Cradle:
    """An init that stands ready in its namespaces, and waits to be told whose init it is."""

    def __init__(self, wall: Wall, place: Prepare) -> None:
        """Fork it. Raises OSError."""
        self.place = place
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = partial(_be_init, wall, place, theirs)
        with theirs:
            wall.choose_uid()
            if wall.networks is not None:
                wall.networks.enter_free()
            if wall.has(Layer.PID):
                pid = namespaces.fork_init(child)
            elif (pid := libc.fork()) == 0:
                child()
        wall.holders[wall.uid] = pid
        if wall.networks is not None:
            wall.networks.take(pid)

    def begin(self, descriptors: list[int]) -> None:
        """Let it be the init of the worker whose sockets these are. Raises OSError."""
        with self._socket:
            socket.send_fds(self._socket, [b"begin"], descriptors)

    def leave(self) -> None:
        """End it: nobody needs it."""
        self._socket.close()


def _be_init(wall: Wall, place: Prepare, orders: socket.socket) -> NoReturn:
    signal.set_wakeup_fd(-1)
    _close_all_but({wall.proc, *wall.groups, orders.fileno()})
    init.run(wall, place, orders)


class Zygote:
    """Forks a worker for every request that comes through its socket."""

    def __init__(self, requests: socket.socket, settings: str) -> None:
        self._requests = requests
        self._settings = msgspec.json.decode(settings, type=Settings)
        self._wall: Wall | None = None
        self._cradle: Cradle | None = None
        self._settled = False

    def serve(self) -> NoReturn:
        """Prepare, say so, and serve until the controller hangs up."""
        signal.signal(signal.SIGCHLD, self._reap)
        privileges.be_called("rlm-zygote")
        try:
            self._prepare()
            report = self._rehearse()
        except PackageFailed as error:
            report = Failed(str(error), "package")
        except Exception as error:  # noqa: BLE001 - whatever it is, the controller must hear of it
            report = Failed(f"{type(error).__name__}: {error}")
        _silence_standard_error()
        self._requests.send(encode(report))
        bell, poll = _bell(), select.poll()
        poll.register(bell, select.POLLIN)
        poll.register(self._requests, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if bell in ready:
                os.read(bell, 4096)
            if self._requests.fileno() not in ready:
                continue
            data, descriptors, _, _ = socket.recv_fds(self._requests, REQUEST_BYTES, 2)
            if not data:
                self._end()
            self._obey(decode_for_zygote(data), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)

    def _obey(self, request: ForZygote, descriptors: list[int]) -> None:
        match request:
            case Prepare() as place:
                self._prepare_cradle(place)
            case Start(place=place) if len(descriptors) == 2:
                self._spawn(place, descriptors)
            case Start():
                pass  # out of descriptors: the controller sees both hang up
            case Hold() as hold:
                self._settle()  # a pool will want many workers at once, and waits for its text
                self._requests.send(encode(_hold(hold, descriptors)))
            case Learn():
                self._requests.send(encode(_learn(descriptors)))

    def _end(self) -> NoReturn:
        """Leave after the last worker: there may be nobody else who sees an orphan's end."""
        if self._cradle is not None:
            self._cradle.leave()
        with contextlib.suppress(ChildProcessError):  # there are no more
            while True:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
                self._reap(signal.SIGCHLD, None)
        os._exit(0)

    def _reap(self, _signal: int, _frame: object) -> None:
        """Collect inits, and end what an init has left behind that was killed from outside.

        Where there is no pid namespace its checkpoints would sleep on for ever: nobody else knows
        them. They are of its process group, which none of them can leave.
        """
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(ended.si_pid, signal.SIGKILL)
            try:
                os.waitpid(ended.si_pid, 0)
            except ChildProcessError:  # done by this very function, called in its midst
                continue
            if self._wall is not None and self._wall.networks is not None:
                self._wall.networks.leave(ended.si_pid)

    def _prepare(self) -> None:
        settings = self._settings
        sys.path += settings.search_paths
        for name in PRELOADED:
            importlib.import_module(name)
        for name in settings.packages:
            _import_package(name)
        required = frozenset(map(Layer, settings.required))
        possible = lockdown.possible(
            frozenset(map(Layer, settings.used_where_possible)), settings.groups
        )
        self._wall = lockdown.prepare_zygote(
            required | possible, settings.package_paths, settings.groups, settings.search_paths
        )
        # for the checkpoints: to fork beside the code's threads is what they are for
        warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
        # What the code finds in os.environ. What was in it is for the C library's start only.
        os.environ.clear()
        gc.collect()
        gc.freeze()  # so that a collection in a worker does not copy pages shared with the zygote
        if settings.packages:  # of which there are so many objects that it would be waited for
            self._settle()

    def _settle(self) -> None:
        """Have all workers to come share what is in memory now."""
        if not self._settled:
            immortalize()
            self._settled = True

    def _rehearse(self) -> Prepared | Failed:
        """Start one worker and end it: a layer that cannot be put on is found out now."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        session, workers = socket.socketpair()
        spawn = Spawn(WorkerLimits.of(Limits()), (), ())
        control.send(encode(spawn))
        with control, session:
            with theirs, workers:
                place = Prepare(spawn.limits.tmp_bytes)
                self._spawn(place, [theirs.fileno(), workers.fileno()])
            while data := control.recv(REQUEST_BYTES):
                message = decode_from_init(data)
                if isinstance(message, Failed):
                    return message
                if isinstance(message, Died):
                    return Failed(f"the rehearsal worker died with status {message.status}")
                if session.recv(1):  # the first byte of Ready
                    assert self._wall is not None
                    return Prepared(tuple(sorted(self._wall.layers)), landlock.abi())
        return Failed("the rehearsal worker ended without a word")

    def _prepare_cradle(self, place: Prepare) -> None:
        """Have a cradle ready in this place, and no other."""
        assert self._wall is not None
        self._settle()  # now that the first worker is up nobody waits
        if self._cradle is not None:
            self._cradle.leave()
            self._cradle = None
        with contextlib.suppress(OSError):  # the worker for which it is wanted will say why
            self._cradle = Cradle(self._wall, place)

    def _spawn(self, place: Prepare, descriptors: list[int]) -> None:
        assert self._wall is not None
        ready = self._cradle
        try:
            if ready is not None and ready.place == place:
                self._cradle = None
                with contextlib.suppress(OSError):  # it was killed
                    ready.begin(descriptors)
                    return
            Cradle(self._wall, place).begin(descriptors)
        except OSError as error:
            with socket.socket(fileno=os.dup(descriptors[0])) as control:
                control.send(encode(Failed(f"fork: {error}")))


def _import_package(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:
        raise PackageFailed(f"import {name}: {type(error).__name__}: {error}") from error


def _close_all_but(kept: set[int]) -> None:
    """Close every descriptor but these and the standard streams.

    None of the zygote's own may live on in a worker: whoever holds both ends of a socket never sees
    it close.
    """
    first = 3
    for descriptor in sorted(kept - {-1}):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _silence_standard_error() -> None:
    """What was said at the start has been said: a worker inherits no pipe to the controller."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _hold(hold: Hold, descriptors: list[int]) -> Held | Failed:
    """Decode a text that is for all workers."""
    try:
        text = read_text(*map(os.dup, descriptors), hold.size)
    except (OSError, TypeError, MemoryError, ValueError) as error:
        return Failed(f"the text {hold.name!r} cannot be held: {type(error).__name__}: {error}")
    HELD[hold.name] = text
    immortalize(text)  # to count a reference to it would copy a page of it, which may be a huge one
    return Held(sys.getsizeof(text))


def _learn(descriptors: list[int]) -> Learnt | Failed:
    """Load modules that are for all workers."""
    try:
        (descriptor,) = descriptors
        with open(descriptor, "rb", closefd=False) as source:
            modules.load_new(source.read())
    except BaseException as error:  # noqa: BLE001 - they may raise anything
        text = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return Failed(f"the modules cannot be loaded: {text}")
    gc.collect()
    gc.freeze()  # as `_prepare` does
    return Learnt()


def _bell() -> int:
    """Readable from now on whenever a signal has come: Python's own handlers run between two calls.

    Without it one that comes just before a call that waits would be attended to after the next
    request only.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading
