from __future__ import annotations

from rlm_core.batch.control import Control


def test_stopping_is_finishing_too_and_wakes_the_batch() -> None:
    control = Control()
    control.finish()
    assert (control.finishing, control.stopping) == (True, False)
    woken: list[str] = []
    control.attach(lambda: woken.append("again"))
    control.stop()
    assert (control.finishing, control.stopping) == (True, True)
    assert woken == ["again"]


def test_it_is_under_way_once_there_is_something_to_wake() -> None:
    control = Control()
    assert not control.under_way
    control.attach(lambda: None)
    assert control.under_way
