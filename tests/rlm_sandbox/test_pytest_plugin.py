"""The plugin, as the test suites of others use it."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.opening import forget_layers

pytest_plugins = ["pytester"]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Somebody's test suite, in which the plugin is there."""
    pytester.makeini("[pytest]\naddopts = -p rlm_sandbox.pytest_plugin --strict-markers")
    return pytester


def test_the_fixture_gives_a_sandbox_and_closes_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        opened = []

        def test_it(sandbox):
            opened.append(sandbox)
            assert sandbox.exec("6 * 7").stdout == "42\\n"

        def test_it_is_closed():
            assert opened[0].closed
        """
    )
    suite.runpytest_inprocess().assert_outcomes(passed=2)


def test_the_marker_sets_limits_and_isolation(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.sandbox(step_seconds=0.3, isolation="none", functions={"f": lambda: 7})
        def test_it(sandbox):
            assert sandbox.isolation == "none"
            assert sandbox.exec("f()").stdout == "7\\n"
            assert sandbox.exec("while True: pass").outcome == "timeout"
        """
    )
    suite.runpytest_inprocess().assert_outcomes(passed=1)
    forget_layers("none", frozenset())


def test_the_factory_gives_as_many_as_one_wants(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_it(sandbox_factory):
            one, other = sandbox_factory(), sandbox_factory(memory="256MiB")
            one.exec("x = 1")
            assert other.exec("x").outcome == "error"
        """
    )
    suite.runpytest_inprocess().assert_outcomes(passed=1)


def test_what_a_host_cannot_give_fails_or_is_skipped(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from rlm_sandbox import IsolationUnavailable, sandbox as module

        @pytest.fixture(autouse=True)
        def poor_host(monkeypatch):
            def refuse(*args, **kwargs):
                raise IsolationUnavailable("not here")
            monkeypatch.setattr(module.Keeper, "start", refuse)

        @pytest.mark.sandbox(isolation="full", skip_unavailable=True)
        def test_skipped(sandbox): ...

        @pytest.mark.sandbox(isolation="full")
        def test_failed(sandbox): ...
        """
    )
    suite.runpytest_inprocess().assert_outcomes(skipped=1, errors=1)


def test_programs_of_the_corpus_are_parameters(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from rlm_sandbox.audit.runner import Auditor
        from rlm_sandbox.pytest_plugin import assert_contained, hostile_programs

        @hostile_programs("neighbours")
        def test_it(hostile_program):
            if hostile_program.name != "futex":
                return
            with Auditor() as auditor:
                assert_contained(auditor.run(hostile_program))
        """
    )
    result = suite.runpytest_inprocess("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_it?neighbours/futex?*PASSED*"])


def test_a_session_wide_auditor_runs_them(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from rlm_sandbox.pytest_plugin import assert_contained, hostile_programs

        @hostile_programs("neighbours")
        def test_it(hostile_program, auditor):
            if hostile_program.name == "scratch":
                assert_contained(auditor.run(hostile_program))
        """
    )
    assert suite.runpytest_inprocess("-q").ret == 0


def test_an_escape_reads_well(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from dataclasses import replace
        from rlm_sandbox.audit.corpus import CORPUS
        from rlm_sandbox.audit.runner import Auditor
        from rlm_sandbox.pytest_plugin import assert_contained

        def test_it():
            program = next(p for p in CORPUS if p.id == "files/open")
            with Auditor("none") as auditor:
                assert_contained(auditor.run(program))
        """
    )
    result = suite.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*files/open was not contained:*", "*secret: *came out*"])


def test_an_unexpected_end_reads_well(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from rlm_sandbox.pytest_plugin import assert_contained

        def test_good(sandbox):
            assert_contained(sandbox.exec("import os"))
            assert_contained(sandbox.exec("1 / 0"), ending="error")

        def test_bad(sandbox):
            assert_contained(sandbox.exec("x = 1"), ending="timeout")
        """
    )
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the step ended as ok*expected: timeout*"])


def test_a_class_that_there_is_not_is_an_error(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from rlm_sandbox.pytest_plugin import hostile_programs

        @hostile_programs("nonesuch")
        def test_it(hostile_program): ...
        """
    )
    result = suite.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'nonesuch' is not a valid Kind*"])
