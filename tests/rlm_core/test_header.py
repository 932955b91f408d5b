from __future__ import annotations

import json
from typing import Any

import pytest

from rlm_core.config import configure
from rlm_core.context import Context
from rlm_core.errors import TraceError
from rlm_core.header import config_of, facts_of_context, header_of
from rlm_core.models import Models
from rlm_core.policy import Policy, Price
from rlm_sandbox import Limits
from tests.rlm_core.models import Scripted

TEXT = Context.from_documents(["a", "b"])


def lookup(name: str) -> str:
    """Look a name up."""
    return name


def head(**options: Any) -> dict[str, Any]:
    config = configure(options)  # ty: ignore[invalid-argument-type]
    header = header_of(
        config,
        Models(Scripted()),
        query="Q?",
        context=TEXT,
        rules=config.rules,
        seed=7,
        output=None,
    )
    return json.loads(json.dumps(header))


def test_all_options_that_matter_come_back_from_a_header() -> None:
    options: dict[str, Any] = {
        "policy": Policy(max_steps=3, max_cost=2.5, prices={"m": Price(1, 2)}),
        "limits": Limits(memory="64MiB", step_seconds=5),
        "imports": ["re"],
        "isolation": "auto",
        "auto_finalize_var": "out",
        "auto_finalize_reject_patterns": ["x+"],
        "fallback_code": "out = 1",
        "compaction": "model",
        "recursive_subcalls": True,
        "recursive_subcall_state": "fork",
        "subcall_max_tokens": 99,
    }
    before = configure(options)  # ty: ignore[invalid-argument-type]
    again = config_of(head(**options))
    assert again.rules == before.rules
    assert again.policy == before.policy
    assert again.subcalls == before.subcalls
    assert again.sandbox.limits == before.sandbox.limits
    assert (again.sandbox.imports, again.seed) == (["re"], 7)


def test_tools_are_named_and_may_be_missing_later() -> None:
    header = head(tools=[lookup])
    assert header["tools"] == ["lookup"]
    assert [tool.name for tool in config_of(header).tools] == ["lookup"]


def test_a_header_that_is_damaged_is_refused() -> None:
    header = head()
    del header["rules"]
    with pytest.raises(TraceError, match="head of the trace"):
        config_of(header)


def test_contexts_are_told_apart_by_digest() -> None:
    facts = facts_of_context(TEXT)
    assert (facts["characters"], facts["documents"]) == (len(TEXT.text), 2)
    assert facts["sha256"] != facts_of_context(Context.from_text("other"))["sha256"]
    assert facts_of_context(Context.from_text("\ud800"))["characters"] == 1


def test_a_context_is_digested_once() -> None:
    context = Context.from_text("text")
    first = facts_of_context(context)
    object.__setattr__(context, "text", "TEXT")
    assert facts_of_context(context)["sha256"] == first["sha256"]
