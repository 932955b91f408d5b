"""Ctrl-C and SIGTERM in every phase: no orphan, no hang, and the next session works."""

from __future__ import annotations

import random
import signal
import subprocess
import textwrap
import time

import psutil
import pytest

from tests.processes import outliving
from tests.rlm_sandbox import program

PATIENCE = 60.0

PHASES = {
    "starting and closing": "while True: Sandbox().close()",
    "idle": "box = Sandbox(); box.exec('x = 1'); ready(); time.sleep(1000)",
    "a step": "box = Sandbox(); ready(); box.exec('while True: pass')",
    "a host call": (
        "box = Sandbox(functions={'wait': lambda: time.sleep(1000)}); ready(); box.exec('wait()')"
    ),
    "a question": "box = Sandbox(); box.exec('x = 1'); ready()\nwhile True: box.get('x')",
    "saving": "box = Sandbox(); ready()\nwhile True: box.exec('x = 1')",
    "a restore": (
        "box = Sandbox(imports='all'); box.exec('x = 1'); ready()\n"
        "while True: box.exec('import os; os._exit(1)')"
    ),
    "a checkpoint of the caller's": (
        "box = Sandbox(imports='all'); box.exec('x = 1'); ready()\n"
        "while True:\n    with box.checkpoint() as saved: box.restore(saved)"
    ),
    "a fork": "box = Sandbox(); box.exec('x = 1'); ready()\nwhile True: box.fork().close()",
}

PROGRAM = """
import signal, sys, time
from rlm_sandbox import Sandbox
def ready():
    print("ready", flush=True)
def leave(number, frame):
    raise SystemExit
if sys.argv[1:] == ["leaves"]:
    signal.signal(signal.SIGTERM, leave)
Sandbox().close()
try:
    {start}
{phase}
except (KeyboardInterrupt, SystemExit):
    with Sandbox() as after:
        print(after.exec("print('on')").stdout, end="", flush=True)
"""


def source_of(phase: str) -> str:
    code = PHASES[phase]
    start = "pass" if "ready()" in code else "ready()"
    return PROGRAM.format(start=start, phase=textwrap.indent(code, "    "))


def struck(phase: str, number: signal.Signals, *, leaves: bool) -> str:
    """What the program says after the signal; every process that it had must be gone."""
    source = source_of(phase)
    if leaves:
        source = source.replace('sys.argv[1:] == ["leaves"]', "True")
    with program.start(source) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(random.random() * 0.05)  # wherever it is then
            had = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail("the program hangs")
        finally:
            process.kill()
    assert "Traceback" not in err, err
    assert [each.cmdline() for each in outliving(had, PATIENCE)] == []
    return out


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_leaves_a_program_that_goes_on(phase: str) -> None:
    assert struck(phase, signal.SIGINT, leaves=False) == "on\n"


@pytest.mark.parametrize("phase", PHASES)
def test_sigterm_ends_a_program_with_all_that_it_had(phase: str) -> None:
    assert struck(phase, signal.SIGTERM, leaves=False) == ""


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_handler_that_raises_leaves_a_program_that_goes_on(phase: str) -> None:
    for _ in range(10):
        assert struck(phase, signal.SIGTERM, leaves=True) == "on\n"


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_at_many_moments_leaves_a_program_that_goes_on(phase: str) -> None:
    for _ in range(20):
        assert struck(phase, signal.SIGINT, leaves=False) == "on\n"
