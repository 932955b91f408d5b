"""One namespace, cells run in it one by one, and whatever they do is a Done."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from rlm_sandbox.protocol import Done
from rlm_sandbox.worker.bridge import Bridge
from rlm_sandbox.worker.channel import Channel
from rlm_sandbox.worker.console import Console
from rlm_sandbox.worker.imports import SAFE_MODULES


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console in this very process, whose streams and modules are put back afterwards."""
    for name in ("stdout", "stderr", "displayhook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setitem(sys.modules, "prelude", ModuleType("prelude"))
    before = signal.getsignal(signal.SIGINT)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        channel.listen_for_interrupts()
        bridge = Bridge(channel, concurrent_calls=4, value_bytes=10_000)
        yield Console(channel, bridge, functions=("ask",), imports=SAFE_MODULES, output_chars=1_000)
    signal.signal(signal.SIGINT, before)


def test_a_cell_that_runs_to_its_end_is_ok(console: Console) -> None:
    assert console.run(1, "x = 1\nprint(x)") == Done(1, "ok", None, "1\n", truncated=False)


@pytest.mark.parametrize(
    ("code", "ending", "error"),
    [
        ("1 / 0", "error", "ZeroDivisionError: division by zero (line 1)"),
        ("x = = 1", "error", "SyntaxError: invalid syntax (line 1)\n    x = = 1\n        ^"),
        ("raise SystemExit(3)", "exited", "SystemExit: 3 (line 1)"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt (line 1)"),
        ("raise MemoryError", "memory", None),
        ("class Odd(BaseException): pass\nraise Odd", "error", "Odd (line 2)"),
    ],
)
def test_whatever_a_cell_raises_is_an_ending(
    console: Console, code: str, ending: str, error: str | None
) -> None:
    done = console.run(1, code)
    assert (done.ending, done.error) == (ending, error)


def test_an_interrupt_ends_the_cell_and_keeps_what_it_did(console: Console) -> None:
    console.namespace["interrupt"] = lambda: signal.raise_signal(signal.SIGINT)
    done = console.run(1, "x = 1\ninterrupt()\nx = 2")
    assert (done.ending, console.namespace["x"]) == ("interrupted", 1)
    assert console.run(2, "print(x)").output == "1\n"


def test_an_interrupt_while_an_error_is_described_ends_the_description(console: Console) -> None:
    console.namespace["interrupt"] = lambda: signal.raise_signal(signal.SIGINT)
    code = "class E(Exception):\n    def __str__(self): interrupt()\nraise E"
    assert console.run(1, code).error == "E: <exception str() failed> (line 3)"
    assert console.run(2, "1").output == "1\n"


def test_the_last_error_is_in_stderr(console: Console) -> None:
    console.run(1, "1 / 0")
    assert (
        console.run(2, "print(_stderr)").output == "ZeroDivisionError: division by zero (line 1)\n"
    )
    assert console.run(3, "_stderr").output == "''\n"


def test_scaffolding_is_there_again_after_each_cell(console: Console) -> None:
    console.protect({"P": "context"})
    console.run(1, "P = ask = None")
    console.run(2, "del P\n1 / 0")
    assert console.run(3, "print(P, ask)").output == "context <host function ask>\n"


def test_installed_source_is_a_module_of_its_own(console: Console) -> None:
    console.install("__all__ = ['f']\nhidden = 2\ndef f(): return hidden * k", {"k": 21})
    assert console.run(1, "f()").output == "42\n"
    assert "hidden" not in console.namespace


def test_classes_of_a_cell_have_a_home(console: Console) -> None:
    assert console.run(1, "class A: pass\nA").output == "<class '__main__.A'>\n"


def test_a_one_line_cell_and_a_longer_one_echo_alike(console: Console) -> None:
    assert console.run(1, "'x'").output == console.run(2, "\n'x'\n").output == "'x'\n"


def test_a_syntax_error_shows_the_line_as_it_was_given(console: Console) -> None:
    assert "    if x" in str(console.run(1, "if x").error)


def test_functions_of_one_cell_show_their_source_in_the_next_ones_tracebacks(
    console: Console,
) -> None:
    console.run(1, "def f():\n    raise ValueError('inside')")
    code = "import traceback\ntry: f()\nexcept ValueError: print(traceback.format_exc())"
    assert "raise ValueError('inside')" in console.run(2, code).output


def test_a_rehearsal_is_a_cell_that_leaves_no_trace(console: Console) -> None:
    console.protect({"P": "text"})
    console.run(1, "x = 1")
    namespace, before = console.namespace, dict(console.namespace)
    console._output.write("late")  # by a thread that the cell has left
    console.rehearse()
    assert console.namespace is namespace
    assert dict(console.namespace) == before
    assert console.run(2, "print(x, P)").output == "late1 text\n"


def test_a_rehearsal_that_is_interrupted_leaves_the_session_as_it_was(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(_step: int, _code: str) -> None:
        signal.raise_signal(signal.SIGINT)

    console.run(1, "x = 1")
    with monkeypatch.context() as patch:
        patch.setattr(console, "_execute", execute)
        console.rehearse()
    assert console.run(2, "x").output == "1\n"


def test_a_rehearsal_is_nothing_that_is_printed(console: Console) -> None:
    console.run(1, "x = 1")
    console._output.write("x" * 2_000_000)  # by a thread that the cell has left
    console.rehearse()
    assert console.run(2, "x").truncated


@pytest.mark.parametrize("code", ["def f(x: int): ...", "1\ndef f(x: int): ...\nf"])
def test_a_cell_is_compiled_as_in_a_file_of_its_own(console: Console, code: str) -> None:
    console.run(1, code)
    assert console.run(2, "f.__annotations__['x'](7.9)").output == "7\n"
