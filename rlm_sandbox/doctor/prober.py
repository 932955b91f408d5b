"""Probes every layer, each in a fork of a clean interpreter that the examiner starts.

Clean as a zygote is, so that the examiner itself never forks and a layer finds what it will find in
a worker. The two talk in JSON: a Job on the command line, a Report on standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal, NoReturn

import msgspec

from rlm_sandbox.confine import cgroups
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor.probes import CannotTell, NotHolding, Probes
from rlm_sandbox.doctor.stage import Targets

SECONDS = 60.0

START = """
import json, sys
standard, job = len(sys.path), json.loads(sys.argv[1])
sys.path += job["import_paths"]
from rlm_sandbox.doctor import prober
del sys.path[standard:]
prober.main(sys.argv[1])
"""

MESSAGE_BYTES = 16 * 1024


class Job(msgspec.Struct, frozen=True):
    import_paths: tuple[str, ...]
    """Where this package and msgspec lie."""
    targets: Targets


class Seen(msgspec.Struct, frozen=True):
    """What one probe saw."""

    result: Literal["holds", "broken", "untold", "refused"]
    """`refused`: the layer cannot be put on."""
    text: str


Report = dict[str, Seen]


def probe(import_paths: Sequence[str], targets: Targets) -> Report:
    """What each layer's probe saw, by the layer's name. Raises OSError if the prober fails."""
    job = msgspec.json.encode(Job(tuple(import_paths), targets)).decode()
    run = subprocess.run(  # noqa: S603 - our own interpreter and code
        (sys.executable, "-I", "-S", "-X", "utf8", "-c", START, job),
        env={name: os.environ[name] for name in (cgroups.VARIABLE,) if name in os.environ},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if run.returncode != 0:
        raise OSError(f"the prober failed: {run.stderr.decode(errors='replace').strip()[-500:]}")
    return msgspec.json.decode(run.stdout, type=Report)


def main(job: str) -> None:
    """The prober itself."""
    targets = msgspec.json.decode(job, type=Job).targets
    report = {layer.value: _in_a_fork(layer, targets) for layer in Layer}
    sys.stdout.buffer.write(msgspec.json.encode(report))


def _in_a_fork(layer: Layer, targets: Targets) -> Seen:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _try(layer, targets, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if not said:
        return Seen("broken", f"the probe ended with status {os.waitstatus_to_exitcode(status)}")
    return msgspec.json.decode(said, type=Seen)


def _try(layer: Layer, targets: Targets, answer: int) -> NoReturn:
    try:
        os.write(answer, msgspec.json.encode(_see(layer, targets)))
    finally:
        os._exit(0)


def _see(layer: Layer, targets: Targets) -> Seen:
    try:
        return Seen("holds", Probes(targets).run(layer))
    except NotHolding as error:
        return Seen("broken", str(error))
    except CannotTell as error:
        return Seen("untold", str(error))
    except OSError as error:
        return Seen("refused", str(error))
