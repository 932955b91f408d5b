from __future__ import annotations

import marshal
from types import CodeType

from rlm_core import prelude
from rlm_core.context import Context
from rlm_core.guest import scaffold
from tests.rlm_core.guest_double import names_of_guest


def test_the_names_that_are_taken_are_those_that_a_session_has() -> None:
    assert prelude.names() == names_of_guest() == {"P", *scaffold.NAMES}


def test_files_are_compiled_once_a_process() -> None:
    assert prelude.modules() is prelude.modules()
    loaded = marshal.loads(prelude.modules()["rlm_core.jsonish"])
    assert isinstance(loaded, CodeType)
    assert loaded.co_filename == "<rlm_core.jsonish>"


def test_a_session_gets_bounds_and_not_documents() -> None:
    context = Context.from_documents(["one", "three"], separator="-")
    values = prelude.values_of(context, parallel=False)
    assert values["DOCUMENT_BOUNDS"] == [0, 3, 4, 9]
    assert values["DOCUMENTS_TEXT"] is None
    assert prelude.documents_apart(context) is None


def test_documents_that_are_no_parts_of_the_text_go_apart() -> None:
    context = Context("summary", ("one", "three"), "document_list")
    values = prelude.values_of(context, parallel=False)
    assert values["DOCUMENT_BOUNDS"] == [0, 3, 3, 8]
    assert "DOCUMENTS_TEXT" not in values
    assert prelude.documents_apart(context) == "onethree"
