"""A Python REPL in a sealed process: the public face of this package."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rlm_sandbox.errors import (
    NameNotFound,
    SandboxBusy,
    SandboxClosed,
    SandboxError,
    SessionLost,
)
from rlm_sandbox.host.link import Functions, Link, WorkerGone
from rlm_sandbox.host.zygote import NURSERY, Breed
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import NAME_CHARS, Done, Spawn, WorkerLimits
from rlm_sandbox.result import ExecResult, Outcome, State
from rlm_sandbox.session import ProtocolViolation
from rlm_sandbox.verdict import Evidence, verdict


class Sandbox:
    """A session of Python whose code runs in a process of its own, under limits.

    >>> with Sandbox(functions={"double": lambda x: 2 * x}) as box:
    ...     box.exec("y = double(21)").outcome
    ...     box.get("y")
    <Outcome.OK: 'ok'>
    42

    `functions` are host functions: the code calls them by name, they run in this process, several
    at once if the code has threads. `imports` is "safe" (harmless standard modules), "all" (left to
    the kernel) or the modules that the code may import. `packages` are import names of installed
    packages, imported before the worker is sealed. A sandbox is used by one thread at a time;
    `close` may come from any. Raises IsolationUnavailable if the host cannot give the `isolation`
    asked for, StartFailed if no worker comes up.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        imports: str | Collection[str] = "safe",
        isolation: str = "auto",
        packages: Sequence[str] = (),
    ) -> None:
        self._engine = _Engine(
            limits or Limits(),
            _checked_functions(functions or {}),
            _allowed_modules(imports, packages),
            Breed(isolation, tuple(packages)),
        )
        self._finalizer = weakref.finalize(self, self._engine.close)
        self._engine.start()
        self.isolation = NURSERY.tier(self._engine.breed).name
        """The isolation tier that the code runs under: "full", "standard" or "none"."""
        self.layers = tuple(sorted(NURSERY.layers(self._engine.breed)))
        """The names of the layers of the wall that are in force."""

    def exec(self, code: str) -> ExecResult:
        """Run one cell of code. What the code does wrong is in the result, never an exception."""
        return self._engine.exec(_checked_code(code))

    def get(self, name: str) -> object:
        """A variable of the session. Raises NameNotFound, ValueRefused, SessionLost."""
        with self._engine.asking() as link:
            try:
                return link.get(_checked_name(name))
            except KeyError as missing:
                raise NameNotFound(missing.args[0]) from None

    def set(self, name: str, value: object) -> None:
        """Give the session a variable of plain data. Raises ValueRefused, SessionLost."""
        with self._engine.asking() as link:
            link.set(_checked_name(name), value)

    def load(self, name: str, text: str) -> None:
        """Give the session a text of any size under a protected name, by file descriptor.

        A cell that rebinds a protected name gets it back at its end. Raises SessionLost.
        """
        self._engine.add(_Text(_checked_name(name), text))

    def install(self, source: str, values: Mapping[str, object] | None = None) -> None:
        """Run trusted source once as a module inside and protect the names in its `__all__`.

        Its globals hold the host functions, the loaded texts and `values`. Raises SessionLost with
        the error if the source fails.
        """
        self._engine.add(_Prelude(source, dict(values or {})))

    def describe(self) -> dict[str, str]:
        """Type and size of the session's own variables, by name: no modules, no protected names."""
        with self._engine.asking() as link:
            described = link.describe()
        if not isinstance(described, dict):
            raise SessionLost("the worker's description of its variables cannot be read")
        return {str(name): str(text) for name, text in described.items()}

    def close(self) -> None:
        """End the session and everything in it; a running step ends as `cancelled`. Idempotent."""
        self._finalizer()

    @property
    def closed(self) -> bool:
        return self._engine.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Text:
    """A text under a protected name."""

    name: str
    text: str = field(repr=False)

    def replaces(self, other: _Text | _Prelude) -> bool:
        return isinstance(other, _Text) and other.name == self.name

    def apply(self, link: Link) -> None:
        data = self.text.encode("utf-8", "surrogatepass")
        descriptor = os.memfd_create("rlm-text", os.MFD_CLOEXEC)
        try:
            _write_all(descriptor, data)
            link.load(self.name, descriptor, len(data))
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Prelude:
    """Trusted source, and the values it is given."""

    source: str
    values: dict[str, object]

    def replaces(self, other: _Text | _Prelude) -> bool:
        return self == other

    def apply(self, link: Link) -> None:
        link.install(self.source, self.values)


class _Engine:
    """What a Sandbox owns and must give back."""

    def __init__(
        self,
        limits: Limits,
        functions: Functions,
        imports: tuple[str, ...] | None,
        breed: Breed,
    ) -> None:
        self.breed = breed
        self._limits = limits
        self._functions = functions
        self._spawn = Spawn(WorkerLimits.of(limits), tuple(functions), imports)
        self._setup: list[_Text | _Prelude] = []
        self._turn = threading.Lock()
        self._dropping = threading.Lock()  # nobody signals a worker that is being closed
        self._pid = os.getpid()
        self._user: int | None = None  # the thread that has the turn
        self._link: Link | None = None
        seconds = limits.session_seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.closed = False

    def start(self) -> None:
        """Start a worker and give it what every worker of this sandbox has."""
        link = Link(self.breed, self._spawn, self._limits, self._functions, self._deadline)
        with self._dropping:
            self._link = link
        if self.closed:  # by another thread, which had no worker to end yet
            self._drop()
            raise SandboxClosed("this sandbox was closed while it started")
        try:
            for item in self._setup:
                item.apply(link)
        except (WorkerGone, ProtocolViolation) as error:
            self._drop()
            raise SessionLost(f"the worker was lost while it was set up ({error})") from None
        except BaseException:
            self._drop()
            raise

    def exec(self, code: str) -> ExecResult:
        with self._taking_turn():
            if self._link is None:
                self.start()
            link = self._link
            assert link is not None
            try:
                result = self._result(link, code)
            except BaseException:  # Ctrl-C while we waited: the step's end will never be read
                self._drop()
                raise
            if result.state is not State.KEPT:
                self._drop()
            return result

    def _result(self, link: Link, code: str) -> ExecResult:
        started = time.monotonic()
        ending: Done | WorkerGone | ProtocolViolation
        try:
            ending = link.run(code)
        except (WorkerGone, ProtocolViolation) as other:
            ending = other
        return verdict(self._evidence(link, ending, time.monotonic() - started), self._limits)

    def _evidence(
        self, link: Link, ending: Done | WorkerGone | ProtocolViolation, wall: float
    ) -> Evidence:
        guard, step = link.guard, link.session.step
        assert guard is not None
        cpu = guard.cpu_seconds()
        death = None
        if isinstance(ending, ProtocolViolation):
            link.worker.kill()
        elif isinstance(ending, WorkerGone):
            death = link.worker.death()
        stopped = Outcome.CANCELLED if self.closed else guard.stopped
        return Evidence(
            ending=ending,
            stopped=stopped,
            death=death,
            stdout="".join(step.output),
            truncated=step.truncated,
            wall_seconds=wall,
            worker_seconds=step.clock.own(time.monotonic()),
            cpu_seconds=cpu,
            peak_memory=max(guard.peak, link.worker.peak_bytes()),
            host_calls=step.calls,
        )

    def add(self, item: _Text | _Prelude) -> None:
        """Apply something now, and again to every worker that replaces this one."""
        with self.asking() as link:
            item.apply(link)
            self._setup = [other for other in self._setup if not item.replaces(other)] + [item]

    @contextmanager
    def asking(self) -> Generator[Link]:
        """The worker, for a question between steps. Raises SessionLost if it fails in it."""
        with self._taking_turn():
            if self._link is None:
                self.start()
            assert self._link is not None
            try:
                yield self._link
            except (WorkerGone, ProtocolViolation) as error:
                self._drop()
                raise SessionLost(
                    f"the worker was lost while it answered ({error}); the next use starts empty"
                ) from None
            except SandboxError:
                raise
            except BaseException:
                if self._link is not None and not self._link.idle:
                    self._drop()
                raise

    @contextmanager
    def _taking_turn(self) -> Generator[None]:
        if self.closed:
            raise SandboxClosed("this sandbox is closed; open another")
        if self._pid != os.getpid():
            raise SandboxClosed("this sandbox belongs to the process that opened it; open another")
        if not self._turn.acquire(blocking=False):
            raise SandboxBusy(
                "this sandbox is in use: it runs one step at a time. Use a sandbox for each thread."
            )
        self._user = threading.get_ident()
        try:
            yield
        finally:
            self._user = None
            if self.closed:
                self._drop()
            self._turn.release()

    def _drop(self) -> None:
        with self._dropping:
            link, self._link = self._link, None
        if link is not None:
            link.worker.close()

    def close(self) -> None:
        self.closed = True
        if self._pid != os.getpid():
            return  # a fork of the process whose worker it is
        if self._turn.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._turn.release()
            return
        with self._dropping:
            if self._link is not None:
                self._link.cancel()
        if self._user != threading.get_ident():  # else: from a host function or a signal handler
            with self._turn:  # whoever has the turn drops the worker when he gives it back
                pass


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # one write(2) moves 2 GiB at most
        rest = rest[os.write(descriptor, rest) :]


def _allowed_modules(
    imports: str | Collection[str], packages: Sequence[str]
) -> tuple[str, ...] | None:
    if imports == "all":
        return None
    if imports == "safe":
        from rlm_sandbox.worker.imports import SAFE_MODULES

        return (*SAFE_MODULES, *packages)
    if isinstance(imports, str):
        raise ValueError(  # noqa: TRY004 - a text is the right type, this one has no meaning
            f'imports must be "safe", "all" or names of modules, not {imports!r}'
        )
    return (*imports, *packages)


def _checked_functions(functions: Mapping[str, Callable[..., object]]) -> Functions:
    for name, function in functions.items():
        _checked_name(name)
        if not callable(function):
            raise TypeError(f"the host function {name!r} is not callable: {function!r}")
    return dict(functions)


def _checked_name(name: str) -> str:
    if not (isinstance(name, str) and name.isidentifier() and len(name) <= NAME_CHARS):
        raise ValueError(f"not a variable name: {name!r}")
    return name


def _checked_code(code: str) -> str:
    if not isinstance(code, str):
        raise TypeError(f"code must be str, not {type(code).__name__}")
    # A lone surrogate cannot cross as it is; in a string literal its escape stands for the same.
    return code if code.isascii() else code.encode("utf-8", "backslashreplace").decode()
