"""What every program finds in its session works, with and without the import guard."""

from __future__ import annotations

import pytest

from rlm_sandbox import Sandbox
from rlm_sandbox.audit.call_numbers import numbers
from rlm_sandbox.audit.prelude import FORGER, PRELUDE

T = {"nr": numbers(), "token": "a-token", "name": "a-name", "mark": "a-mark"}


@pytest.mark.parametrize("imports", ["safe", "all"])
def test_the_tools_are_there(imports: str) -> None:
    with Sandbox(imports=imports) as box:
        box.set("T", T)
        assert box.exec(PRELUDE).error is None
        assert box.exec("call('fsopen', b'tmpfs', 0)").stdout == "(-1, 1)\n"
        assert box.exec("won('it')").stdout == "a-token it\n"
        assert "socket" in box.exec("type(channel())").stdout


def test_a_forger_knows_the_step_and_speaks_the_protocol() -> None:
    with Sandbox(imports="all") as box:
        box.set("T", T)
        box.exec(PRELUDE)
        result = box.exec(FORGER + "send(wire.Done(step(), 'ok', None, 'forged', False))")
        assert result.stdout == "forged"
