from __future__ import annotations

import importlib.util
import marshal
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

import pytest

from rlm_core import prelude
from rlm_core.context import Context
from rlm_core.guest import scaffold
from tests.rlm_core.guest_double import names_of_guest


def test_the_names_that_are_taken_are_those_that_a_session_has() -> None:
    assert prelude.names() == names_of_guest() == {"P", *scaffold.NAMES}


def test_files_are_compiled_once_a_process() -> None:
    assert prelude.helper_modules() is prelude.helper_modules()
    code = dict(marshal.loads(prelude.helper_modules().packed))["rlm_core.jsonish"]
    assert isinstance(code, CodeType)
    assert code.co_filename == "<rlm_core.jsonish>"


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


class OnlyRuns:
    """A loader like pytest's, which runs a module and cannot be asked for its code."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("nothing is imported")


def test_the_code_is_found_where_another_loader_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("jsonish", "guest.scaffold"):
        spec = importlib.util.find_spec(f"rlm_core.{name}")
        assert spec is not None
        assert spec.origin is not None
        plain = SourceFileLoader(spec.name, spec.origin).get_code(spec.name)
        monkeypatch.setattr(spec, "loader", OnlyRuns())
        assert isinstance(plain, CodeType)
        assert prelude._code_of(name).co_names == plain.co_names
