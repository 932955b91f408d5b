from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.extensions import Extensions, ReplView
from rlm_core.rlm import RLM
from tests.rlm_core.models import Scripted


def nothing(*_: object) -> None:
    """Log nothing."""


def test_functions_and_values_are_told_apart() -> None:
    def make(**given: object) -> dict[str, object]:
        assert given["retriever"] is None
        return {"search": str.upper, "year": 1999}

    extras = Extensions({"own": str.lower}, make, None, nothing).for_session()
    assert set(extras.functions) == {"own", "search"}
    assert extras.values == {"year": 1999}


def test_the_session_cannot_be_used_before_it_is_open() -> None:
    with pytest.raises(ConfigError, match="not open yet"):
        ReplView().set("x", 1)


def test_code_uses_what_the_caller_added(tmp_path: Path) -> None:
    views: list[ReplView] = []

    def make(*, rlm: object, repl: ReplView, retriever: object, log_diag: object):
        views.append(repl)
        return {"lookup": lambda key: {"ada": 1815}[key], "suffix": "!", "peek_x": lambda: 3}

    model = Scripted("x = lookup('ada')\nanswer = f'{x}{suffix}{double(2)}'\nFINAL_VAR: answer")
    rlm = RLM(
        model, cache_dir=tmp_path, repl_extensions=make, functions={"double": lambda n: 2 * n},
    )  # fmt: skip
    assert rlm.run("Q?", Context.from_text("x"))[0] == "1815!4"
    assert len(views) == 1
