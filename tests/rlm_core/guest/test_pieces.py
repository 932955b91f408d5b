from __future__ import annotations

from typing import Any

import pytest

from rlm_core.context import Context
from tests.rlm_core.guest_double import TEXT, HostDouble, guest_session, run


def test_pieces_of_every_kind_are_asked_about(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "ask_chunks('Q?', ctx.chunk(30))")
    assert host.asked[0] == f"Question: Q?\nSnippet:\n{TEXT[:30]}"
    host.asked.clear()
    run(guest, "llm_query_batch('Q?', ['a', 'b'])")
    run(guest, "llm_query_batch(['c'], 'Q?')")
    run(guest, "ask_chunked('Q?', 'abcd', chunk_size=2)")
    run(guest, "ask_chunks('Q?', ctx, chunk_size=40)")
    assert [prompt.split("Snippet:\n")[1] for prompt in host.asked] == [
        "a", "b", "c", "ab", "cd", TEXT[:40], TEXT[40:],
    ]  # fmt: skip


def test_batches_run_one_by_one_unless_asked(guest: dict[str, Any], host: HostDouble) -> None:
    run(guest, "llm_query_batch(['a', 'b', 'a'])")
    assert (host.batches, host.asked) == (0, ["a", "b"])
    run(guest, "llm_query_batch(['a', 'b'], parallel=True)")
    assert host.batches == 1
    parallel = guest_session(Context.from_text(TEXT), host, parallel=True)
    run(parallel, "llm_query_batch(['a', 'b'])")
    assert host.batches == 2


@pytest.mark.parametrize(
    ("answer", "short"),
    [
        ("Paris", "Paris"),
        ("answer: Paris", "Paris"),
        ("I see. The key term is: 'oolong'.", "oolong"),
        ("NO_ANSWER", None),
        ("```x```", None),
        ("<think>x", None),
        ("two\nlines", None),
        ("x" * 81, None),
        ("", None),
        ("[SUBCALL_LIMIT] max_subcalls exceeded.", None),
    ],
)
def test_only_short_clear_answers_are_picked(
    guest: dict[str, Any], answer: str, short: str | None
) -> None:
    guest["given"] = [answer]
    assert run(guest, "out = pick_first_answer(given)") == short


def test_asking_ends_at_the_first_clear_answer() -> None:
    host = HostDouble(lambda prompt: "yes" if prompt.endswith("b") else "NO_ANSWER")
    guest = guest_session(Context.from_text(TEXT), host)
    assert run(guest, "out = ask_chunks_first('Q?', ['a', 'b', 'c'])") == "yes"
    assert len(host.asked) == 2
    assert run(guest, "out = ask_chunks_first('Q?', ['a'])") is None
