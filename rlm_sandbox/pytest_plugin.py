"""Sandboxes, and the programs that try to leave them, for the test suites of others.

The plugin is there as soon as the package is installed. Ten lines that use most of it:

    import pytest
    from rlm_sandbox.pytest_plugin import assert_contained, hostile_programs

    @pytest.mark.sandbox(step_seconds=2, memory="256MiB", isolation="standard")
    def test_my_agent_cannot_spin(sandbox):
        assert_contained(sandbox.exec("while True: pass"), ending="timeout")

    @hostile_programs("files", "network")
    def test_the_wall_holds_here(hostile_program, auditor):
        assert_contained(auditor.run(hostile_program))

Fixtures:
    sandbox           a `Sandbox`, closed when the test is over; the marker says what kind
    sandbox_factory   opens any number of them: `sandbox_factory(functions={...}, memory="1GiB")`
    auditor           runs programs of the corpus and judges them from outside

The marker `sandbox` takes every field of `Limits` and the arguments of `Sandbox` (`functions`,
`imports`, `isolation`, `packages`). A test that asks for more isolation than the host has fails;
with `skip_unavailable=True` it is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from rlm_sandbox.errors import IsolationUnavailable
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import ExecResult, Outcome

if TYPE_CHECKING:
    from rlm_sandbox.audit.findings import Row
    from rlm_sandbox.audit.runner import Auditor
    from rlm_sandbox.sandbox import Sandbox

SandboxFactory = Callable[..., "Sandbox"]

_LIMITS = frozenset(field.name for field in fields(Limits))
_MARKER = (
    "sandbox(*, isolation, imports, functions, packages, skip_unavailable, **limits): "
    "what the `sandbox` fixture of this test is like; limits are fields of rlm_sandbox.Limits"
)
_CONTAINED = frozenset(Outcome) - {Outcome.CANCELLED}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def sandbox_factory() -> Iterator[SandboxFactory]:
    """A function that opens sandboxes: arguments as the marker `sandbox` has them."""
    with ExitStack() as opened:
        yield _Factory(opened)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sandbox_factory: SandboxFactory) -> Sandbox:
    """A sandbox as the test's marker `sandbox` wants it, or as it comes by default."""
    marker = request.node.get_closest_marker("sandbox")
    if marker is None:
        return sandbox_factory()
    if marker.args:
        raise pytest.UsageError("the marker `sandbox` takes named arguments only")
    options = dict(marker.kwargs)
    skip = options.pop("skip_unavailable", False)
    try:
        return sandbox_factory(**options)
    except IsolationUnavailable as unavailable:
        if skip:
            pytest.skip(str(unavailable))
        raise


@pytest.fixture(scope="session")
def auditor() -> Iterator[Auditor]:
    """What runs programs of the corpus: in the strongest tier that this host offers."""
    from rlm_sandbox.audit.runner import Auditor

    with Auditor() as opened:
        yield opened


def hostile_programs(*classes: str) -> pytest.MarkDecorator:
    """Parametrise `hostile_program` over the corpus, or over these classes of it.

    Raises ValueError for a class that there is not.
    """
    from rlm_sandbox.audit.corpus import CORPUS
    from rlm_sandbox.audit.program import Kind

    kinds = frozenset(map(Kind, classes)) or frozenset(Kind)
    programs = [program for program in CORPUS if program.kind in kinds]
    return pytest.mark.parametrize(
        "hostile_program", programs, ids=[program.id for program in programs]
    )


def assert_contained(result: ExecResult | Row, *, ending: Outcome | str | None = None) -> None:
    """Fail unless hostile code stayed inside.

    For a row of the audit: nothing was seen from outside. For the result of a step: it ended in a
    way that a sandbox answers for, and as `ending` if that is given. What the code printed says
    nothing about where it was, so this is no more than that: look at your own canaries too.
    """
    __tracebackhide__ = True
    if isinstance(result, ExecResult):
        _assert_ended(result, ending)
        return
    if result.findings and not result.reason:
        seen = "\n".join(f"  {finding}" for finding in result.findings)
        pytest.fail(f"{result.program.id} was not contained:\n{seen}", pytrace=False)


def _assert_ended(result: ExecResult, ending: Outcome | str | None) -> None:
    __tracebackhide__ = True
    expected = _CONTAINED if ending is None else frozenset({Outcome(ending)})
    if result.outcome not in expected:
        wanted = ", ".join(sorted(expected))
        pytest.fail(
            f"the step ended as {result.outcome!s} ({result.error}); expected: {wanted}",
            pytrace=False,
        )


class _Factory:
    """Opens sandboxes that the test does not have to close."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened

    def __call__(self, **options: Any) -> Sandbox:
        from rlm_sandbox.sandbox import Sandbox

        limits = {name: options.pop(name) for name in _LIMITS & options.keys()}
        if limits:
            if "limits" in options:
                raise TypeError("give either `limits` or single limits, not both")
            options["limits"] = Limits(**limits)
        return self._opened.enter_context(Sandbox(**options))
