"""A Python REPL in a sealed process: the public face of this package."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rlm_sandbox.errors import NameNotFound, SessionLost
from rlm_sandbox.host.keeper import Keeper
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.setup import File, Prelude, Text
from rlm_sandbox.host.terms import Functions, Terms
from rlm_sandbox.limits import Limits
from rlm_sandbox.modules import Modules
from rlm_sandbox.protocol import NAME_CHARS, Spawn, WorkerLimits
from rlm_sandbox.result import ExecResult


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
    packages, imported before the worker is sealed, `modules` are modules without files. A sandbox
    is used by one thread at a time; `close` may come from any. Raises IsolationUnavailable if the
    host cannot give the `isolation` asked for, StartFailed if no worker comes up.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        imports: str | Collection[str] = "safe",
        isolation: str = "auto",
        packages: Sequence[str] = (),
        modules: Modules | None = None,
    ) -> None:
        order = Order.of(
            limits or Limits(), imports, Breed(isolation, tuple(packages), modules=modules)
        )
        self._take(order.keeper(checked_functions(functions or {})))

    @classmethod
    def _of(cls, keeper: Keeper, close: Callable[[], None]) -> Self:
        """The sandbox of a keeper that is there already; `close` ends its use."""
        box = cls.__new__(cls)
        box._take(keeper, close)
        return box

    def _take(self, keeper: Keeper, close: Callable[[], None] | None = None) -> None:
        """Be the face of this keeper, and close it when this object goes away."""
        self._keeper = keeper
        self._finalizer = weakref.finalize(self, close or keeper.close)
        self.isolation = NURSERY.tier(keeper.breed).name
        """The isolation tier that the code runs under: "full", "standard" or "none"."""
        self.layers = tuple(sorted(NURSERY.layers(keeper.breed)))
        """The names of the layers of the wall that are in force."""

    def exec(self, code: str) -> ExecResult:
        """Run one cell of code. What the code does wrong is in the result, never an exception.

        A step that is over a limit of time is interrupted, so that its partial work is kept, and
        killed if it has not ended 0.1 s later (time in which it waits for a processor on a busy
        machine is not counted, up to 1 s). A step that loses its process, however, is undone: the
        session goes on from the checkpoint that was taken before it (`ExecResult.state`).

        Threads that a step leaves running stand still, like all of the session, until the next
        step or question: they use no CPU between steps, what they use in a later step is charged
        to it, they can call host functions only while a step runs, and they are gone after a
        restore (locks that they held stay locked). Raises SandboxBusy, SandboxClosed, StartFailed,
        ControllerExhausted, and SessionLost if the session was lost when nobody could be told.
        """
        return self._keeper.exec(_checked_code(code))

    def get(self, name: str) -> object:
        """A variable of the session. Raises NameNotFound, ValueRefused, SessionLost."""
        with self._keeper.asking() as link:
            try:
                return link.get(checked_name(name))
            except KeyError as missing:
                raise NameNotFound(missing.args[0]) from None

    def set(self, name: str, value: object) -> None:
        """Give the session a variable of plain data. Raises ValueRefused, SessionLost."""
        self._keeper.set(checked_name(name), value)

    def load(self, name: str, text: str) -> None:
        """Give the session a text of any size under a protected name.

        A cell that rebinds a protected name gets it back at its end. A text of more than 32,768
        characters goes by file descriptor, and does not count as memory of the session. Raises
        SessionLost.
        """
        self._keeper.add(Text(checked_name(name), text))

    def load_file(self, name: str, path: str | os.PathLike[str]) -> None:
        """As `load`, with a file of UTF-8: a large one is never in this process's memory.

        Before the first step the worker reads the file itself, in one pass; later it is given a
        copy, so that code has no hold on yours. Do not change the file while the sandbox is open:
        a worker that replaces another reads it again. Raises OSError, ValueRefused for a file that
        is no UTF-8 text, SessionLost.
        """
        self._keeper.add(File(checked_name(name), Path(path).absolute()))

    def holds(self, name: str, text: str) -> bool:
        """True if this very text was there from the start, under this name: a pool's context."""
        texts = self._keeper.breed.texts
        return texts is not None and texts.get(name) is text

    def install(
        self,
        source: str,
        values: Mapping[str, object] | None = None,
        modules: Modules | None = None,
    ) -> None:
        """Run trusted source once as a module inside and protect the names in its `__all__`.

        Its globals hold the host functions, the loaded texts and `values`. The `modules` are loaded
        before it, for this session alone, unless it has modules of these names already. Raises
        SessionLost with the error if the source fails.
        """
        there = modules == self._keeper.breed.modules
        self._keeper.add(Prelude(source, dict(values or {}), None if there else modules))

    def describe(self) -> dict[str, str]:
        """Type and size of the session's own variables, by name: no modules, no protected names."""
        with self._keeper.asking() as link:
            described = link.describe()
        if not isinstance(described, dict):
            raise SessionLost("the worker's description of its variables cannot be read")
        return {str(name): str(text) for name, text in described.items()}

    def checkpoint(self) -> Checkpoint:
        """Save the session as it is now, to come back to as often as you like.

        Everything in the session's memory is saved: variables, functions, classes, generators,
        imports, the state of `random`, open descriptors. Not saved: threads (a lock that one held
        stays locked), what is in `/tmp`, the offsets of open files (shared with the session), and
        what host functions did outside. At most `Limits.checkpoints` of them live at once.

        Costs a fork: about 1 ms, 2 ms with 1 GB in strings, 50 ms with 1 GB in small objects, and
        from then on memory for what the session changes (`scripts/bench checkpoints` measures
        it). Raises CheckpointUnavailable.
        """
        return Checkpoint(self._keeper, self._keeper.checkpoint())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be again as at the checkpoint, which stays. Raises CheckpointUnavailable."""
        self._keeper.restore(checkpoint.number)

    def fork(self, functions: Mapping[str, Callable[..., object]] | None = None) -> Sandbox:
        """An independent sandbox that goes on from here; close it like any other.

        It has a process of its own behind the same wall, and checkpoints of its own. The two
        share `/tmp`, the host functions (but for those given here, in place of all), the session's
        deadline and, where there is a control group, the limits on memory and processes; they
        share no memory. Either may be closed first.

        While a step runs, a host function may fork the session too: from the state before that
        step. Raises CheckpointUnavailable.
        """
        twin = self._keeper.fork(None if functions is None else checked_functions(functions))
        return Sandbox._of(twin, twin.close)

    def close(self) -> None:
        """End the session and everything in it; a running step ends as `cancelled`. Idempotent."""
        self._finalizer()

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return self._keeper.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Checkpoint:
    """A state of a session, saved: for `Sandbox.restore` of the sandbox that made it.

    It holds a process and the memory that the session has changed since. Closing it frees both;
    closing the sandbox closes it.
    """

    def __init__(self, keeper: Keeper, number: int) -> None:
        self._keeper = keeper
        self.number = number

    def close(self) -> None:
        """Free the checkpoint. Idempotent."""
        self._keeper.forget(self.number)

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
class Order:
    """What kind of sandbox is wanted: checked, but for its host functions."""

    limits: Limits
    breed: Breed
    allowed: tuple[str, ...] | None
    """Modules that the code may import; None for all."""

    @classmethod
    def of(
        cls,
        limits: Limits,
        imports: str | Collection[str],
        breed: Breed,
    ) -> Order:
        """Raises ValueError for imports that mean nothing."""
        return cls(limits, breed, _allowed_modules(imports, breed.packages))

    def keeper(self, functions: Functions) -> Keeper:
        """A keeper with a fresh worker. Raises IsolationUnavailable, StartFailed."""
        spawn = Spawn(WorkerLimits.of(self.limits), tuple(functions), self.allowed)
        return Keeper.start(self.breed, spawn, Terms.from_now(self.limits, functions))


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


def checked_functions(functions: Mapping[str, Callable[..., object]]) -> Functions:
    """A copy. Raises ValueError for a name that is none, TypeError for what cannot be called."""
    for name, function in functions.items():
        checked_name(name)
        if not callable(function):
            raise TypeError(f"the host function {name!r} is not callable: {function!r}")
    return dict(functions)


def checked_name(name: str) -> str:
    """The name. Raises ValueError if it is none."""
    if not (isinstance(name, str) and name.isidentifier() and len(name) <= NAME_CHARS):
        raise ValueError(f"not a variable name: {name!r}")
    return name


def _checked_code(code: str) -> str:
    if not isinstance(code, str):
        raise TypeError(f"code must be str, not {type(code).__name__}")
    # A lone surrogate cannot cross as it is; in a string literal its escape stands for the same.
    return code if code.isascii() else code.encode("utf-8", "backslashreplace").decode()
