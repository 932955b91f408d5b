"""What a session may use. Unset means the default here, not "unlimited"."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

_UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", start=1):
    _UNITS[f"{_letter}B"] = 1000**_power
    _UNITS[f"{_letter}IB"] = 1024**_power
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_size(text: str) -> int:
    """Bytes in a size such as "512MiB", "1.5 GB" or "4096". Raises ValueError on anything else."""
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f"not a size: {text!r} (write bytes, or for example '512MiB' or '1.5GB')")
    return int(float(match[1]) * unit)


class ByteSize:
    """A dataclass field that takes bytes or text such as "512MiB" and always reads as bytes."""

    def __init__(self, default: int | str) -> None:
        self._default = parse_size(str(default))

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = name

    def __get__(self, instance: object | None, owner: type) -> int:
        if instance is None:
            return self._default
        return instance.__dict__[self._key]

    def __set__(self, instance: object, value: int | str) -> None:
        instance.__dict__[self._key] = parse_size(value) if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one session may use; "a step" is one `exec`. Sizes take bytes or text like "512MiB"."""

    step_seconds: float = 60.0
    """Wall seconds of the worker's own time a step; waiting for host functions is not counted."""
    cpu_seconds: float = 60.0
    """CPU seconds a step, over all threads. Waiting for host functions does not pause it.

    What it took to save the session after the step before is counted with them: milliseconds.
    """
    session_seconds: float | None = None
    """Wall seconds from start to end of the session, waiting included. None: no limit."""
    memory: ByteSize = ByteSize("1GiB")
    """What the session may hold beyond the long texts loaded into it.

    With a control group the kernel holds the whole worker to it, checkpoints and shared memory
    included, plus 64 MiB for the interpreter and `tmp_bytes` for `/tmp`. Without one it is each
    session process that is held to it: private memory by rlimits, the rest by looking every 5 ms,
    in which code that touches fresh pages takes 12 MB, measured; pages that a checkpoint keeps
    alone, and `/tmp`, come on top.
    """
    processes: int = 256
    """Threads and processes at once."""
    open_files: int = 64
    output_chars: int = 16_000
    """Characters of output that a step's result keeps."""
    tmp_bytes: ByteSize = ByteSize("64MiB")
    """Size of the private /tmp."""
    value_bytes: ByteSize = ByteSize("16MiB")
    """Encoded size of one value that crosses the wall, in either direction."""
    host_calls: int = 10_000
    """Calls of host functions a step."""
    concurrent_calls: int = 128
    """Calls of host functions that may be pending at once, those of earlier steps included."""
    call_bytes: ByteSize = ByteSize("256MiB")
    """Encoded size of all host-call arguments a step."""
    checkpoints: int = 4
    """Checkpoints of the caller's alive at once. 0 turns restoring after a crash off, too."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in {"checkpoints", "host_calls", "tmp_bytes"} else 1e-3
            if value is None and field.name == "session_seconds":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                raise ValueError(f"Limits.{field.name} must be a positive number, not {value!r}")
            if field.type not in {"float", "float | None"} and not isinstance(value, int):
                raise ValueError(f"Limits.{field.name} must be a whole number, not {value!r}")
