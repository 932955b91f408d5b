"""Other projects' sandboxes, each installed into an environment of its own below .bench/."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts import suite
from scripts.benches.arena import Peer
from scripts.benches.contender import Contender, ContenderFailed
from scripts.benches.report import PeerState

HOME = Path(__file__).resolve().parents[2] / ".bench"
OWN_VERSION = "{}.{}".format(*sys.version_info)
INSTALL_SECONDS = 900.0
WORDS_KEPT = 300


@dataclass(frozen=True)
class Source:
    """Where a peer comes from. Its contender has its name."""

    name: str
    what: str
    packages: tuple[str, ...] = ()
    """What pip installs; the first is the peer. Without any it runs on this Python as it is."""
    least: str = "3.11"
    """The oldest Python that it runs on."""


SOURCES = (
    Source("monty", "a Python interpreter in Rust, in worker processes", ("pydantic-monty",)),
    Source("pyrlm", "in the controller's own process", ("pyrlm-runtime",), "3.12"),
    Source("forkserver", "multiprocessing: a process, no wall"),
    Source("jupyter", "a kernel: a process, no wall", ("ipykernel", "jupyter_client")),
    Source("dspy", "its LocalInterpreter: a process, no wall", ("dspy",)),
    Source("rlms", "the official one, in the controller's own process", ("rlms",)),
    Source("bubblewrap", "a plain process within namespaces"),
    Source("control", "`python -I -S` over a socketpair: the least that works, no wall"),
)


class Unusable(Exception):
    """A peer cannot be installed or started here."""


def gather(
    names: Iterable[str], tell: Callable[[str], None]
) -> tuple[dict[str, Peer], list[PeerState]]:
    """The peers of these names that work, and how it went with each."""
    wanted = set(names)
    peers: dict[str, Peer] = {}
    states = []
    for source in SOURCES:
        if source.name not in wanted:
            continue
        try:
            peer = _installed(source, tell)
            Contender(source.name, python=peer.python).close()
        except (Unusable, ContenderFailed) as failed:
            tell(f"{source.name}: {failed}")
            states.append(PeerState(source.name, source.what, failure=str(failed)))
            continue
        peers[source.name] = peer
        states.append(_state(source, peer))
    return peers, states


def _installed(source: Source, tell: Callable[[str], None]) -> Peer:
    python = _python(source)
    if not source.packages:
        return Peer(source.name, python)
    home = HOME / f"{source.name}-{OWN_VERSION}"
    inside, done = home / "bin" / "python", home / "installed"
    if not done.exists():
        tell(f"installing {' '.join(source.packages)} into {home} ...")
        _run([python, "-m", "venv", "--clear", str(home)])
        options = ["--quiet", "--disable-pip-version-check"]
        _run([str(inside), "-m", "pip", "install", *options, *source.packages])
        done.touch()
    return Peer(source.name, str(inside))


def _python(source: Source) -> str:
    """This Python, or the first found that the peer runs on. Raises Unusable."""
    versions = [v for v in (OWN_VERSION, *suite.VERSIONS) if _parts(v) >= _parts(source.least)]
    for version in versions:
        for candidate in suite.candidates(version):
            if (path := suite.probed(candidate, version)) is not None:
                return path
    raise Unusable(f"needs Python {source.least}, and none was found")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _run(command: list[str]) -> str:
    """What it prints. Raises Unusable with its last words."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unusable(f"{command[0]} did not end well: {error}") from None
    if done.returncode:
        raise Unusable((done.stderr or done.stdout).strip()[-WORDS_KEPT:])
    return done.stdout.strip()


def _state(source: Source, peer: Peer) -> PeerState:
    asked = "import platform, sys; from importlib.metadata import version\n"
    asked += "print(platform.python_version(), *map(version, sys.argv[1:]))"
    python, *versions = _run([peer.python, "-c", asked, *source.packages[:1]]).split()
    return PeerState(source.name, source.what, *(versions or [""]), python)
