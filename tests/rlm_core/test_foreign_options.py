from __future__ import annotations

import sys

import pytest

from rlm_core.adapters.fake import FakeAdapter
from rlm_core.config import Options, configure
from rlm_core.errors import ConfigError
from rlm_core.rlm import RLM
from rlm_sandbox import Limits, SandboxPool


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retriever": object()}, "tools="),
        ({"doc_tools": {}}, "from_documents"),
        ({"repl_backend": "monty"}, "repl_backend='python'"),
        ({"repl_backend": "lisp"}, "must be 'python'"),
        ({"recursion_impl": "fork"}, "in a sandbox of its own"),
        ({"max_tokens": 5, "max_output_tokens": 6}, "another name of max_tokens"),
    ],
)
def test_what_is_not_supported_names_the_alternative(options: Options, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configure(options)


def test_other_names_mean_the_same() -> None:
    config = configure(Options(max_output_tokens=4096, subcall_max_output_tokens=1024))
    assert (config.rules.max_tokens, config.subcalls.max_tokens) == (4096, 1024)
    assert configure(Options(recursion_impl="child")).subcalls == configure(Options()).subcalls


def test_the_seconds_of_a_cell_are_a_limit_of_the_sandbox() -> None:
    limits = configure(Options(repl_exec_timeout=7.0, limits=Limits(memory="1GiB"))).sandbox.limits
    assert limits == Limits(memory="1GiB", step_seconds=7.0)
    assert configure(Options(repl_exec_timeout=None)).sandbox.limits is None
    with SandboxPool(1) as pool, pytest.raises(ConfigError, match="SandboxPool"):
        configure(Options(repl_exec_timeout=7.0, pool=pool))


def test_compaction_and_the_limit_of_repetition_may_be_switched_off() -> None:
    on, off = (configure(Options(compaction=given)).rules.compaction for given in (True, False))
    assert (on is not None and on.by, off) == ("model", None)
    assert configure(Options(loop_collapse_limit=None)).rules.collapse_limit == sys.maxsize


def test_a_mistyped_option_is_named() -> None:
    with pytest.raises(TypeError, match="max_step"):
        RLM(FakeAdapter(), max_step=3)
