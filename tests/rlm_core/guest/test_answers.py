from __future__ import annotations

from typing import Any

from tests.rlm_core.guest_double import HostDouble, run


def test_code_can_give_the_answer(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "x = 41\nFINAL(x + 1)\nFINAL_VAR('x')\nFINAL_VAR(x)\nFINAL_VAR('no_such')")
    assert host.submitted == [42, 41, 41, "no_such"]


def test_submit_takes_a_value_or_named_fields(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "SUBMIT('a'); SUBMIT(answer='b'); SUBMIT(city='Paris', n=2); SUBMIT()")
    assert host.submitted == ["a", "b", '{"city": "Paris", "n": 2}', {}]
