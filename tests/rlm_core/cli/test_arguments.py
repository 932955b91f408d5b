"""The command line is read strictly, and help teaches."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rlm_core.cli.arguments import parse, version


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["ask"], "usage: rlm ask "),
        (["ask", " "], "the question is empty"),
        (["ask", "q", "--max-steps", "0"], "1 or more"),
        (["ask", "q", "--max-subcalls", "-1"], "0 or more"),
        (["ask", "q", "--max-tokens", "many"], "1 or more"),
        (["ask", "q", "--timeout", "nan"], "seconds above 0"),
        (["ask", "q", "--timeout", "inf"], "seconds above 0"),
        (["ask", "q", "--key", "k"], "unrecognized arguments"),
        (["ask", "q", "--max", "3"], "unrecognized arguments"),
        (["ask", "q", "--key", "k"], "usage: rlm ask "),
        (["tell"], "invalid choice"),
        ([], "rlm ask"),
    ],
)
def test_a_mistake_exits_with_2_and_a_hint(
    wrong: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(wrong)
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert hint in shown.err


def test_help_shows_examples_environment_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for argv, parts in (
        (["--help"], ["examples:", "rlm ask", "git log -p |"]),
        (["ask", "--help"], ["LLM_API_KEY", "--base-url", "exit codes:", "130", "NO_COLOR"]),
    ):
        with pytest.raises(SystemExit) as caught:
            parse(argv)
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert [part for part in parts if part not in shown] == []


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--version"])
    assert caught.value.code == 0
    assert version() in capsys.readouterr().out


def test_reading_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rlm_core.cli.arguments import parse; parse(['ask', 'q']); "
        "print(sorted({'httpx', 'msgspec', 'psutil', 'asyncio', 'rlm_sandbox', 'logging'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "[]\n"
