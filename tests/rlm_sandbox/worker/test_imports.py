"""The guide for friendly code: what it may import, what is missing, a `re` that is forgiving."""

from __future__ import annotations

import json
import math
import os.path
import re
import sys

import pytest

from rlm_sandbox.worker.imports import (
    COERCING_REGEX,
    PRELOADED,
    SAFE_MODULES,
    ImportGuard,
    as_text,
    preloaded_modules,
    session_builtins,
)


class Context:
    text = "one two"


@pytest.mark.parametrize("name", SAFE_MODULES)
def test_every_safe_module_exists_and_may_be_imported(name: str) -> None:
    module = ImportGuard(SAFE_MODULES)(name)
    assert module is (COERCING_REGEX if name == "re" else sys.modules[name])


@pytest.mark.parametrize("name", ["os", "subprocess", "socket", "ctypes", "sys", "os.path"])
def test_a_module_that_reaches_out_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ImportError, match=f"import of '{name}' is not allowed here.*: math"):
        ImportGuard(("math",))(name)


def test_a_package_brings_its_submodules_and_a_submodule_not_its_siblings() -> None:
    assert ImportGuard(("os",))("os.path", fromlist=("join",)) is os.path
    guard = ImportGuard(("concurrent.futures",))
    guard("concurrent.futures")
    with pytest.raises(ImportError, match="not allowed"):
        guard("concurrent")


def test_modules_that_are_imported_import_what_they_like() -> None:
    names = {"__builtins__": session_builtins(("tempfile",))}
    exec("import tempfile", names)  # which imports os itself


def test_without_a_list_python_is_as_it_is() -> None:
    names = session_builtins(None)
    assert names["open"] is open
    assert names["__import__"] is __import__
    assert preloaded_modules(None) == {}


@pytest.mark.parametrize("name", ["open", "input", "breakpoint", "help"])
def test_what_is_missing_says_what_to_do_instead(name: str) -> None:
    function = session_builtins(SAFE_MODULES)[name]
    assert callable(function)
    with pytest.raises(PermissionError, match=rf"{name}\(\) is not available here: \w+"):
        function("x", mode="r")


def test_every_other_builtin_is_there() -> None:
    names = session_builtins(SAFE_MODULES)
    for name in ("__build_class__", "super", "TypeError", "frozenset", "bytes", "setattr", "exit"):
        assert callable(names[name])


def test_the_preloaded_modules_are_those_that_may_be_imported() -> None:
    assert set(preloaded_modules(SAFE_MODULES)) == set(PRELOADED)
    assert preloaded_modules(("math", "os")) == {"math": math}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (b"bytes", b"bytes"),
        (Context(), "one two"),
        (["a", "b"], "a\nb"),
        (("a", 1), "a\n1"),
        ([(0, 3, "found"), (4, 7, "text")], "found\ntext"),
        (42, "42"),
        (None, "None"),
    ],
    ids=repr,
)
def test_what_stands_for_a_text_is_taken_as_that_text(value: object, text: object) -> None:
    assert as_text(value) == text


def test_the_five_searching_functions_take_a_context() -> None:
    context = Context()
    found = COERCING_REGEX.search("two", context)
    assert found is not None
    assert found.span() == (4, 7)
    assert COERCING_REGEX.match("two", context) is None
    assert COERCING_REGEX.findall("ONE", context, re.IGNORECASE) == ["one"]
    assert [match.group() for match in re_finditer(context)] == ["one", "two"]
    assert COERCING_REGEX.sub("o", "0", context, count=1) == "0ne two"


def re_finditer(context: Context) -> list[re.Match[str]]:
    found = COERCING_REGEX.finditer(r"\w+", context)
    assert hasattr(found, "__next__")
    return list(found)  # ty: ignore[invalid-argument-type]


def test_the_rest_of_re_is_re() -> None:
    assert COERCING_REGEX.IGNORECASE is re.IGNORECASE
    assert COERCING_REGEX.compile is re.compile
    assert json.dumps(repr(COERCING_REGEX)) == json.dumps(repr(re))
