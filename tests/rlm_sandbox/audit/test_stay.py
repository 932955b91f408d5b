"""The other tenant is in the midst of a step while it is attacked."""

from __future__ import annotations

from rlm_sandbox.audit.stay import Stay
from rlm_sandbox.result import Outcome
from rlm_sandbox.sandbox import Sandbox


def test_its_step_goes_on_until_the_attack_is_over() -> None:
    stay = Stay()
    with Sandbox(functions={"stay": stay}) as box:
        running = stay.begin(box, "print('here')")
        assert not running.done()
        stay.end()
        assert running.result().stdout == "here\n"


def test_a_tenant_whose_code_fails_is_not_waited_for() -> None:
    stay = Stay()
    with Sandbox(functions={"stay": stay}) as box:
        assert stay.begin(box, "1 / 0").result().outcome is Outcome.ERROR
