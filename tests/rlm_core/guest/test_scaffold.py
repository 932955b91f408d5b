from __future__ import annotations

from typing import Any

from rlm_core.context import Context
from tests.rlm_core.guest_double import TEXT, HostDouble, guest_session, run


def test_the_context_is_the_same_class_as_on_the_host(guest: dict[str, Any]) -> None:
    assert run(guest, "out = ctx.find('key')") == [(4, 7, "key")]
    assert run(guest, "out = ctx.metadata()") == Context.from_text(TEXT).metadata()
    assert run(guest, "out = Context.from_text('abc').chunk(2)") == [(0, 2, "ab"), (2, 3, "c")]


def test_documents_are_there_with_their_paths(host: HostDouble) -> None:
    documents = Context.from_documents(["one", "two"])
    context = Context(documents.text, documents.documents, "document_list", ("a", "b"))
    guest = guest_session(context, host)
    assert run(guest, "out = (ctx.num_documents(), ctx.get_document(1), ctx.document_path(1))") == (
        2,
        "two",
        "b",
    )
    assert run(guest, "out = ctx.documents") == ("one", "two")


def test_show_vars_lists_what_the_code_made_and_nothing_else(guest: dict[str, Any]) -> None:
    shown = run(guest, "import re\nrows = [1, 2]\nname = 'Ada'\n_private = 1\nout = SHOW_VARS()")
    assert shown == "rows = list[len=2]\nname = str[len=3]"


def test_the_budget_is_told(guest: dict[str, Any]) -> None:
    assert run(guest, "out = budget()") == {"steps": 3, "tokens": None}
