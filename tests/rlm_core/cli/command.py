"""`rlm` as a command: in this process, or in one of its own where that is the point."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest import mock

import pytest

import rlm_core
from rlm_core.cli import main
from tests.rlm_core.adapters.chat_server import ChatServer

COMMAND = (sys.executable, "-m", "rlm_core.cli")
KEY = "sk-test-0123456789abcdef"
QUESTION = "What is the access code of the vault?"
FACT = "The access code of the vault is 7319.\n"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a text, in which commands are run."""
    (tmp_path / "vault.txt").write_text("The harbour opens at dawn.\n" + FACT)
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a command's environment holds: nothing of this machine's models and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LLM_", "OPENAI_")) and name.lower() not in PROXIES
    }
    packages = Path(rlm_core.__file__).parents[1]
    return kept | {"PYTHONPATH": f"{packages}", "XDG_CACHE_HOME": f"{home}/.cache"} | more


def started(home: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """The command in a process of its own, for `killed_at_last`."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=home,
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rlm(home: Path, *arguments: str, **more: str) -> Ended:
    """Run the command in this process, with streams, directory and environment of its own."""
    return piped(home, b"", *arguments, **more)


def piped(home: Path, stdin: bytes, *arguments: str, **more: str) -> Ended:
    """The same with something to read on standard input."""
    out, err = _stream(), _stream()
    with (
        mock.patch.dict(os.environ, environment(home, **more), clear=True),
        mock.patch("sys.stdin", _stream(stdin)),
        mock.patch("sys.stdout", out),
        mock.patch("sys.stderr", err),
        contextlib.chdir(home),
        _logging_as_before(),
    ):
        code = _exit_code(arguments)
    return checked(Ended(code, _said(out), _said(err)))


def rlm_process(home: Path, *arguments: str, stdin: bytes = b"") -> Ended:
    """Run the command in a process of its own, as a shell would."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        cwd=home,
        env=environment(home),
        check=False,
        timeout=120,
    )
    return checked(Ended(done.returncode, done.stdout.decode(), done.stderr.decode()))


def checked(ended: Ended) -> Ended:
    """Whatever a command says: no traceback, and no key."""
    assert "Traceback" not in ended.stderr
    assert KEY not in ended.stdout + ended.stderr
    return ended


def asked_server(home: Path, server: ChatServer, *flags: str, **more: str) -> Ended:
    """The question asked of a model at this server."""
    named = ("--model", "m", "--base-url", server.base_url)
    return rlm(home, "ask", *named, *flags, QUESTION, "vault.txt", LLM_API_KEY=KEY, **more)


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        return main(arguments)
    except SystemExit as left:  # as argparse ends a program
        return left.code if isinstance(left.code, int) else 1


def _stream(content: bytes = b"") -> TextIOWrapper[BytesIO]:
    return TextIOWrapper(BytesIO(content), encoding="utf-8")


def _said(stream: TextIOWrapper[BytesIO]) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()


@contextlib.contextmanager
def _logging_as_before() -> Generator[None]:
    """A command configures logging for the whole of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
