"""What a session is given between steps is there again in whatever process replaces its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_sandbox import ControllerExhausted, Outcome, Sandbox, ValueRefused
from rlm_sandbox.host.setup import Prelude, Text, Variable
from tests.rlm_sandbox.promises.running import printed

DIES = "import os\nos._exit(1)"


def test_what_comes_later_under_a_name_replaces_what_was_there() -> None:
    assert Text("P", "new").replaces(Text("P", "old"))
    assert Variable("P", b"").replaces(Text("P", "old"))
    assert not Text("Q", "new").replaces(Text("P", "old"))
    assert not Text("P", "new").replaces(Prelude("P = 1", {}))
    assert Prelude("P = 1", {}).replaces(Prelude("P = 1", {}))


def test_all_of_it_is_there_after_a_first_step_that_dies(free_box: Sandbox) -> None:
    free_box.load("P", "text")
    free_box.set("x", [1])
    free_box.install("__all__ = ['f']\ndef f(): return P", {})
    assert free_box.exec(DIES).outcome is Outcome.EXITED
    assert printed(free_box, "print(P, x, f())") == "text [1] text\n"


def test_what_came_after_a_checkpoint_is_there_after_a_later_step_that_dies(
    free_box: Sandbox,
) -> None:
    free_box.exec("y = 1")
    free_box.set("x", [1])
    free_box.load("P", "text")
    free_box.exec("x.append(2)")
    free_box.set("z", "last")
    assert free_box.exec(f"y = x = z = P = None\n{DIES}").outcome is Outcome.EXITED
    assert printed(free_box, "print(P, x, y, z)") == "text [1, 2] 1 last\n"


def test_a_value_comes_back_as_it_was_given_whatever_the_caller_does_to_his_own(
    free_box: Sandbox,
) -> None:
    given = [1]
    free_box.set("x", given)
    given.append(2)
    free_box.exec(DIES)
    assert free_box.get("x") == [1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("straße " * 10_000)
    return path


def test_a_file_is_a_text_whenever_it_is_given(free_box: Sandbox, file: Path) -> None:
    free_box.load_file("P", file)
    assert printed(free_box, "P = None\nprint(P)") == "None\n"
    free_box.load_file("Q", file)
    assert printed(free_box, "print(len(P), P == Q, P[:6])") == "70000 True straße\n"
    assert free_box.exec(DIES).outcome is Outcome.EXITED
    assert printed(free_box, "print(len(P), P == Q, P[:6])") == "70000 True straße\n"


def test_code_never_holds_a_file_of_the_callers(free_box: Sandbox, file: Path) -> None:
    holds = (
        "import os\n"
        "kept = None\n"
        "def keep(pages, *rest):\n"
        "    global kept\n"
        "    kept = [number for number in range(3, 64) if held(number)]\n"
        "def held(number):\n"
        "    try: return os.fstat(number).st_ino\n"
        "    except OSError: return 0\n"
    )
    before = file.stat().st_ino
    free_box.load_file("P", file)
    seen = holds + f"keep(None)\nprint({before} in [held(number) for number in kept])"
    assert printed(free_box, seen) == "False\n"
    free_box.exec(
        "import contextlib, mmap, os\n"
        "real, found = mmap.mmap, []\n"
        "def spying(number, *args, **more):\n"
        "    found.append(os.fstat(number).st_ino)\n"
        "    with contextlib.suppress(OSError): os.fchmod(number, 0)\n"
        "    return real(number, *args, **more)\n"
        "mmap.mmap = spying"
    )
    mode = file.stat().st_mode
    free_box.load_file("Q", file)
    assert free_box.get("found") != [before]
    assert len(free_box.get("found")) == 1  # ty: ignore[invalid-argument-type]
    assert file.stat().st_mode == mode


def test_what_is_no_file_of_text_is_refused_and_changes_nothing(box: Sandbox, file: Path) -> None:
    box.exec("x = 1")
    with pytest.raises(FileNotFoundError, match="missing"):
        box.load_file("P", file.parent / "missing.txt")
    with pytest.raises(OSError, match="not a regular file"):
        box.load_file("P", file.parent)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueRefused, match="can't decode"):
        box.load_file("P", file)
    assert printed(box, "print(x, 'P' in globals())") == "1 False\n"


def test_a_text_that_cannot_be_handed_over_changes_nothing(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, flags: int) -> int:
        raise OSError(24, "Too many open files")

    box.exec("x = 1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", refuse)
        with pytest.raises(ControllerExhausted, match="Too many open files"):
            box.load("P", "text" * 10_000)
    assert printed(box, "print(x, 'P' in globals())") == "1 False\n"


@pytest.mark.parametrize("as_file", [False, True])
def test_code_that_keeps_the_descriptor_of_a_text_keeps_no_memory_by_it(
    free_box: Sandbox, file: Path, *, as_file: bool
) -> None:
    free_box.exec(
        "import mmap, os\n"
        "real, kept = mmap.mmap, []\n"
        "def keeping(number, *args, **more):\n"
        "    kept.append(os.dup(number))\n"
        "    return real(number, *args, **more)\n"
        "mmap.mmap = keeping"
    )
    if as_file:
        free_box.load_file("P", file)
    else:
        free_box.load("P", file.read_text())
    assert (
        printed(free_box, "print(len(P), len(kept), os.fstat(kept[0]).st_blocks)") == "70000 1 0\n"
    )
    grow = "import os\nos.lseek(kept[0], 0, 2)\nos.write(kept[0], bytes(5000))"
    assert str(free_box.exec(grow).error).startswith("PermissionError")
    assert free_box.exec("os.posix_fallocate(kept[0], 0, 5000)").outcome is Outcome.ERROR
    assert printed(free_box, "print(os.fstat(kept[0]).st_blocks)") == "0\n"
