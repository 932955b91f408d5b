"""What a session is given between steps is there again in whatever process replaces its own."""

from __future__ import annotations

import os

import pytest

from rlm_sandbox import ControllerExhausted, Outcome, Sandbox
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


def test_a_text_that_cannot_be_handed_over_changes_nothing(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, flags: int) -> int:
        raise OSError(24, "Too many open files")

    box.exec("x = 1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", refuse)
        with pytest.raises(ControllerExhausted, match="Too many open files"):
            box.load("P", "text")
    assert printed(box, "print(x, 'P' in globals())") == "1 False\n"
