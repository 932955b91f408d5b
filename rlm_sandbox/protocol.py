"""Every message that crosses the wall, and nothing else.

Conversations, each with messages of its own:

    controller -> zygote      ForZygote    start one more worker, or get ready for one
    zygote     -> controller  FromZygote   the wall is up, or why not
    controller -> init        ForInit      permit a checkpoint, wake it, drop it
    init       -> controller  FromInit     what became of the worker's processes
    controller -> worker      ForWorker    run this, read that, here is your call's result
    worker     -> controller  FromWorker   *hostile*: decoded strictly, checked again in `session`

Values of the user's code travel as bytes that `values` encodes and decodes, under other caps. What
comes from the worker has no nested field at all: decoding it cannot recurse, whatever it holds.
"""

from __future__ import annotations

from typing import Literal, Self

import msgspec
from msgspec import Struct

from rlm_sandbox.limits import Limits

FIRST_SESSION = 0
"""The session process that a worker starts with; woken checkpoints get numbers above."""

ENVELOPE_BYTES = 64 * 1024
"""What a frame may hold beyond the one value in it: names, error texts, output of one flush."""

ERROR_CHARS = 4_000
"""Longest error text that a worker sends; a longer one is cut in the worker."""

NAME_CHARS = 200
"""Longest name of a variable or of an exception class that crosses."""


class WorkerLimits(Struct, frozen=True):
    """The part of `Limits` that is enforced in or around the worker itself. Sizes in bytes."""

    memory: int
    processes: int
    open_files: int
    output_chars: int
    tmp_bytes: int
    value_bytes: int
    concurrent_calls: int
    cpu_seconds: float
    checkpoints: int

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The worker's part of a session's limits."""
        return cls(*(getattr(limits, name) for name in cls.__struct_fields__))


# --- controller -> zygote ---------------------------------------------------------------------


class Prepare(Struct, frozen=True, tag=True):
    """Have an init stand ready, in its namespaces, for a worker that is to come: a cradle."""

    tmp_bytes: int
    group: str | None = None
    """Its control group, below `Settings.groups`."""


class Start(Struct, frozen=True, tag=True):
    """Start a worker in such a place. Carries its init's control socket and its session socket.

    What worker it is to be, its init reads from the control socket (`Spawn`): what a zygote has
    read, all workers to come could find in their memory.
    """

    place: Prepare


class Hold(Struct, frozen=True, tag=True):
    """Hold a text for all workers to come. Carries the descriptor of a file of UTF-8."""

    name: str
    size: int
    """In bytes."""


class Learn(Struct, frozen=True, tag=True):
    """Load modules for all workers to come. Carries a socket: they come through it, to its end."""


ForZygote = Prepare | Start | Hold | Learn


class Settings(Struct, frozen=True):
    """How a zygote is to prepare itself; it comes as JSON on its command line."""

    required: tuple[str, ...]
    """Layers without which it must not serve."""
    used_where_possible: tuple[str, ...]
    import_paths: tuple[str, ...]
    """Where this package and msgspec lie."""
    packages: tuple[str, ...] = ()
    """Names to import before any worker is forked."""
    package_paths: tuple[str, ...] = ()
    """Files and folders of those packages."""
    search_paths: tuple[str, ...] = ()
    """What `sys.path` needs for them."""
    groups: tuple[str, ...] = ()
    """Folders of control groups below which workers have theirs."""


# --- zygote -> controller ---------------------------------------------------------------------


class Prepared(Struct, frozen=True, tag=True):
    """A rehearsal worker has come up under these layers."""

    layers: tuple[str, ...]
    landlock_abi: int


class Held(Struct, frozen=True, tag=True):
    """The text is there."""

    bytes: int
    """What it takes in memory."""


class Learnt(Struct, frozen=True, tag=True):
    """The modules are there."""


# --- init -> controller -----------------------------------------------------------------------


class Born(Struct, frozen=True, tag=True):
    """The worker's processes exist. Carries two pidfds: of init and of the session process."""


class Died(Struct, frozen=True, tag=True):
    """A session process ended."""

    session: int
    status: int | None
    """As `os.waitpid` gives it; None where another session process is the one to be told."""
    cpu_seconds: float = 0.0
    """All that it has used, as the kernel counts it."""
    peak_memory: int = 0
    """Its largest resident set, in bytes."""


class Saved(Struct, frozen=True, tag=True):
    """A checkpoint sleeps, stopped; or there is none, for this reason."""

    checkpoint: int
    failure: str | None = None


class Woken(Struct, frozen=True, tag=True):
    """A checkpoint has become a session process. Carries its pidfd, unless it was not there."""

    session: int


class Allowed(Struct, frozen=True, tag=True):
    """An AllowMemory has been carried out."""

    session: int


class Failed(Struct, frozen=True, tag=True):
    """The zygote or the worker could not be started; nothing has run."""

    reason: str
    fault: Literal["wall", "package"] = "wall"


FromInit = Born | Died | Failed | Allowed | Saved | Woken
FromZygote = Prepared | Held | Learnt | Failed


# --- controller -> init -----------------------------------------------------------------------


class AllowMemory(Struct, frozen=True, tag=True):
    """This session process may allocate so many bytes from now on: a context is coming."""

    session: int
    memory: int


class AllowCpu(Struct, frozen=True, tag=True):
    """This session process may use so many seconds of CPU time in all before SIGXCPU ends it.

    A backstop behind the controller, which meters each step: it has no answer.
    """

    session: int
    seconds: int


class Permit(Struct, frozen=True, tag=True):
    """This session's step has ended: let its next fork through, once, to sleep as a checkpoint.

    The session process is stopped as soon as that sleeps, or cannot be: between steps it stands.
    """

    session: int
    checkpoint: int
    replaces: int | None
    """A checkpoint to end once this one is there."""


class Wake(Struct, frozen=True, tag=True):
    """Let a checkpoint go on as a session process. Carries a descriptor: its session socket."""

    checkpoint: int
    session: int


class Drop(Struct, frozen=True, tag=True):
    """End a checkpoint."""

    checkpoint: int


class Spawn(Struct, frozen=True, tag=True):
    """Be the init of this worker: the first message of all."""

    limits: WorkerLimits
    functions: tuple[str, ...]
    imports: tuple[str, ...] | None
    """Modules that the code may import; None leaves it to the kernel."""


ForInit = Spawn | AllowMemory | AllowCpu | Permit | Wake | Drop


# --- controller -> worker ---------------------------------------------------------------------


class Exec(Struct, frozen=True, tag=True):
    step: int
    code: str


class Get(Struct, frozen=True, tag=True):
    request: int
    name: str


class Set(Struct, frozen=True, tag=True):
    request: int
    name: str
    value: bytes


class Load(Struct, frozen=True, tag=True):
    """Take a text by descriptor: the worker says Attend, then one byte follows that carries it."""

    request: int
    name: str
    size: int
    """UTF-8 bytes in the file (lone surrogates are passed through)."""


class Protect(Struct, frozen=True, tag=True):
    """Take a text that is short enough for a message."""

    request: int
    name: str
    text: bytes
    """UTF-8 (lone surrogates are passed through)."""


class Install(Struct, frozen=True, tag=True):
    """Run trusted source as a module and protect the names in its `__all__`."""

    request: int
    source: str
    values: bytes
    modules: bytes
    """Those that it imports and that the zygote has not; empty if there are none."""


class Offer(Struct, frozen=True, tag=True):
    """From now on these host functions are there, in place of those of `Spawn`."""

    request: int
    functions: tuple[str, ...]


class Rehearse(Struct, frozen=True, tag=True):
    """Do what a step does, without a trace: the first one is then as fast as any other."""

    request: int


class Describe(Struct, frozen=True, tag=True):
    request: int


class Save(Struct, frozen=True, tag=True):
    """Fork a checkpoint of the session as it is now; the init has been told to permit it."""


class Return(Struct, frozen=True, tag=True):
    """The result of the host call `call`."""

    call: int
    value: bytes


class Raise(Struct, frozen=True, tag=True):
    """The host call `call` raised an exception of a class of this name."""

    call: int
    kind: str
    message: str


Request = Get | Set | Load | Protect | Install | Offer | Rehearse | Describe

ForWorker = Exec | Request | Save | Return | Raise


# --- worker -> controller: hostile ------------------------------------------------------------


class Ready(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The worker is locked down and waits for its first message."""


class Call(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Call the host function at index `function` of `Spawn.functions`."""

    call: int
    function: int
    arguments: bytes
    """[args, kwargs] as `values` encodes them."""
    alone: bool
    """No other thread of the worker could be calling: a hint that costs only the worker itself."""


class Output(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Text that the step printed, as it comes."""

    text: str


Ending = Literal["ok", "error", "memory", "output", "exited", "interrupted"]


class Done(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The step ended and the worker lives. `ending` is what the worker saw of it."""

    step: int
    ending: Ending
    error: str | None
    output: str
    """What was printed since the last Output."""
    truncated: bool


class Attend(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """The worker reads nothing but the one byte that carries the descriptor of this Load."""

    request: int


class Answer(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What a Request gave."""

    request: int
    value: bytes


class Refusal(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Why a Request gave nothing."""

    request: int
    reason: Literal["missing", "refused", "failed"]
    message: str


FromWorker = Ready | Call | Output | Done | Attend | Answer | Refusal

encode = msgspec.msgpack.Encoder().encode
decode_for_worker = msgspec.msgpack.Decoder(ForWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_from_init = msgspec.msgpack.Decoder(FromInit).decode
decode_for_init = msgspec.msgpack.Decoder(ForInit).decode
decode_from_zygote = msgspec.msgpack.Decoder(FromZygote).decode
decode_for_zygote = msgspec.msgpack.Decoder(ForZygote).decode
