from __future__ import annotations

import pytest

from rlm_core.cli.arguments import parse
from rlm_core.cli.serve_arguments import ServeArguments


def parsed(*argv: str) -> ServeArguments:
    arguments = parse(["serve", *argv])
    assert isinstance(arguments, ServeArguments)
    return arguments


def test_without_flags_only_this_machine_is_served() -> None:
    arguments = parsed()
    assert (arguments.host, arguments.port, arguments.no_keys) == ("127.0.0.1", 8000, False)


def test_flags_are_read() -> None:
    arguments = parsed(
        "--port", "0", "--model", "m", "--max-request", "1MiB", "--timeout", "2.5",
        "--allow-host", "a", "--allow-host", "b", "--runs", "3", "--queue", "0",
    )  # fmt: skip
    assert (arguments.port, arguments.model, arguments.max_request) == (0, "m", 2**20)
    assert (arguments.timeout, arguments.runs, arguments.queue) == (2.5, 3, 0)
    assert arguments.allow_host == ("a", "b")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--port", "70000"], "no port"),
        (["--runs", "0"], "1 or more"),
        (["--timeout", "inf"], "seconds above 0"),
        (["--max-request", "big"], "not a size"),
    ],
)
def test_values_that_cannot_work_are_refused(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*flags)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_help_names_addresses_variables_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    told = capsys.readouterr().out
    for each in ("/v1/chat/completions", "RLM_SERVE_KEYS", "exit codes", "--config", "SIGTERM"):
        assert each in told
