"""The entry runs in a real worker: see also tests/rlm_core/test_session.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_core import prelude
from rlm_core.context import Context
from rlm_sandbox import Sandbox
from tests.rlm_core.guest_double import HostDouble


@pytest.fixture
def box() -> Iterator[Sandbox]:
    host = HostDouble()
    functions = {name: getattr(host, name) for name in dir(host) if name.startswith("rlm_")}
    with Sandbox(functions=functions) as box:
        context = Context.from_documents(["one", "two"])
        box.load("P", context.text)
        box.install(
            prelude.SOURCE,
            prelude.values_of(context, parallel=True, seed=5),
            prelude.helper_modules(),
        )
        yield box


def test_every_name_is_there_and_works(box: Sandbox) -> None:
    names = sorted(prelude.names())
    assert box.exec(f"print([n for n in {names} if n not in globals()])").stdout == "[]\n"
    assert box.exec("print(llm_query('a'), ctx.get_document(1), peek(3))").stdout == "A two one\n"


def test_the_draws_of_a_session_are_those_of_its_seed(box: Sandbox) -> None:
    import random

    drawn = random.Random(5).random()
    assert box.exec("import random\nprint(random.random())").stdout == f"{drawn}\n"


def test_the_code_does_not_learn_where_this_program_lies(box: Sandbox) -> None:
    files = "{f.__func__.__code__.co_filename for f in (peek, ask, llm_batch, FINAL)}"
    shown = box.exec(f"print(sorted({files} | {{Context.find.__code__.co_filename}}))").stdout
    assert "/" not in shown
    assert "<rlm_core.guest.looking>" in shown


def test_the_package_itself_is_not_there_for_the_code(box: Sandbox) -> None:
    assert "rlm_core" in (box.exec("import rlm_core.rlm").error or "")
