from __future__ import annotations

import io
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from rlm_core.cli.exits import Exit
from rlm_core.cli.output import Output
from rlm_core.cli.serve import serve
from rlm_core.cli.serve_arguments import ServeArguments
from tests.rlm_core.cli.test_serve_arguments import parsed

PROFILE = "[profiles.fast]\nmodel = 'offline'\n"


@pytest.fixture(autouse=True)
def _no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_core.cli.serve.configure_logging", str)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be served, without listening."""
    pytest.importorskip("uvicorn", reason="rlm serve needs uvicorn: pip install --group test")
    given: list[Any] = []

    def listen(settings: Any, profiles: Any, keys: Any, listening: Any) -> None:
        listening("http://127.0.0.1:1234")
        given.extend((settings, profiles, keys))

    monkeypatch.setattr("rlm_core.serve.server.serve", listen)
    return given


def run(arguments: ServeArguments, **environment: str) -> tuple[int, str]:
    """The exit code, and standard error."""
    shown = io.StringIO()
    code = serve(arguments, environment, Output(io.StringIO(), shown, {}, quiet=False))
    return code, shown.getvalue()


def test_the_model_of_the_flags_is_served_by_its_name_and_as_rlm(served: list[Any]) -> None:
    code, told = run(parsed("--model", "m", "--base-url", "http://x/v1", "--max-steps", "3"))
    settings, profiles, keys = served
    assert code == Exit.ANSWERED
    assert "serving rlm, m at http://127.0.0.1:1234/v1" in told
    assert profiles.find("m") == profiles.find("rlm")
    assert profiles.by_name["rlm"].max_steps == 3
    assert settings.host == "127.0.0.1"
    assert not keys.by_digest


def test_without_a_model_the_offline_one_answers_and_it_is_said(served: list[Any]) -> None:
    _, told = run(parsed())
    assert "the offline keyword model answers" in told
    assert served[1].names() == ["rlm", "offline"]


def test_profiles_and_keys_come_from_files(served: list[Any], tmp_path: Path) -> None:
    config, keys = tmp_path / "serve.toml", tmp_path / "keys.toml"
    config.write_text(PROFILE)
    keys.write_text('[keys.alice]\nkey = "alice-alice-alice"\n')
    keys.chmod(0o600)
    flags = ("--config", str(config), "--keys", str(keys), "--host", "0.0.0.0")
    code, _ = run(parsed(*flags))
    assert code == Exit.ANSWERED
    assert served[1].names() == ["fast"]
    assert [client.name for client in served[2].by_digest.values()] == ["alice"]


def test_an_address_that_others_reach_needs_keys_or_the_word_that_it_does_not(
    served: list[Any],
) -> None:
    code, told = run(parsed("--host", "0.0.0.0"))
    assert code == Exit.USAGE
    assert "--keys FILE" in told
    assert "--no-keys" in told
    assert run(parsed("--host", "0.0.0.0", "--no-keys"))[0] == Exit.ANSWERED
    keys = {"RLM_SERVE_KEYS": "alice-alice-alice"}
    assert run(parsed("--host", "0.0.0.0"), **keys)[0] == Exit.ANSWERED


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--config", "/no/such/file"], "cannot read /no/such/file"),
        (["--config", "x", "--model", "m"], "--model cannot be used with --config"),
        (["--keys", "/no/such/file"], "cannot read /no/such/file"),
        (["--base-url", "http://x"], "--base-url needs a model"),
    ],
)
def test_what_cannot_work_is_one_line(flags: list[str], told: str) -> None:
    code, shown = run(parsed(*flags))
    assert code == Exit.USAGE
    assert told in shown
    assert shown.count("\n") == 1


def test_a_port_that_is_taken_is_one_line() -> None:
    pytest.importorskip("uvicorn", reason="rlm serve needs uvicorn: pip install --group test")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = run(parsed("--model", "offline", "--port", str(port)))
    assert code == Exit.USAGE
    assert f"cannot listen at 127.0.0.1:{port}" in told


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    code, told = run(parsed())
    assert code == Exit.USAGE
    assert "pip install 'rlm-sandbox[serve]'" in told


def test_a_host_that_cannot_isolate_code_serves_nothing(
    served: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlm_sandbox.errors import SandboxError

    def refuse(*, isolation: str) -> None:
        raise SandboxError(f"no {isolation} here")

    monkeypatch.setattr("rlm_core.cli.serve.Sandbox", refuse)
    config = tmp_path / "serve.toml"
    config.write_text(PROFILE + "isolation = 'full'\n")
    code, told = run(parsed("--config", str(config)))
    assert (code, served) == (Exit.ISOLATION, [])
    assert "no full here" in told
