from __future__ import annotations

import inspect

import pytest

from rlm_core.batch.engine import Engine
from rlm_core.batch.local import LocalEngine
from rlm_core.batch.ray_engine import RayEngine

METHODS = ("start", "wait", "wake", "stop", "close")


@pytest.mark.parametrize("engine", [LocalEngine, RayEngine])
@pytest.mark.parametrize("method", METHODS)
def test_every_engine_is_used_in_the_same_way(engine: type, method: str) -> None:
    wanted = inspect.signature(getattr(Engine, method))
    assert inspect.signature(getattr(engine, method)) == wanted


def test_nothing_else_is_asked_of_an_engine() -> None:
    asked = {name for name in vars(Engine) if not name.startswith("_")}
    assert asked == {"slots", *METHODS}
