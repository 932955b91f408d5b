from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.redaction import HIDDEN, Redaction
from rlm_core.rlm import RLM
from tests.rlm_core.models import Scripted


def test_values_of_variables_that_are_called_secrets_are_hidden() -> None:
    environment = {
        "LLM_API_KEY": "abcdefghij",
        "DB_PASSWORD": "correct horse",
        "GIT_AUTHOR_NAME": "Ann Example",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "MAX_TOKENS": "100000000",
        "TOKEN": "short",
    }
    redaction = Redaction.of_environment(environment, more=["code word"])
    text = "abcdefghij, correct horse, Ann Example, /tmp/agent, 100000000, short, code word"
    assert redaction.of_text(text) == (
        f"{HIDDEN}, {HIDDEN}, Ann Example, /tmp/agent, 100000000, short, {HIDDEN}"
    )


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-" + "a1B2" * 6,
        "ghp_" + "a" * 36,
        "AKIA" + "A" * 16,
        "xoxb-1234567890-abc",
        "eyJ" + "a" * 20 + "." + "b" * 20 + "." + "c" * 20,
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_keys_of_well_known_forms_are_hidden_wherever_they_stand(secret: str) -> None:
    shown = Redaction().of_text(f"print('{secret}') # done")
    assert secret not in shown
    assert shown.endswith("# done")


def test_user_and_password_in_an_address_are_hidden() -> None:
    assert Redaction().of_text("https://ann:pass@host/x") == f"https://{HIDDEN}@host/x"


def test_a_record_is_cleaned_all_the_way_down_and_marked() -> None:
    redaction = Redaction(("secret!!",))
    assert redaction.of_record({"a": {"b": ["x secret!! y", 1]}, "c": None}) == {
        "a": {"b": [f"x {HIDDEN} y", 1]},
        "c": None,
        "redacted": True,
    }
    assert redaction.of_record({"a": "plain"}) == {"a": "plain"}


def test_content_is_replaced_by_length_and_digest() -> None:
    record = Redaction(content=True).of_record({"kind": "reply", "text": "hello", "usage": {}})
    assert str(record["text"]).startswith("[5 characters, sha256 2cf24dba")
    assert record["kind"] == "reply"


def test_a_secret_that_a_model_said_is_not_in_the_file_and_stays_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hunter2hunter2")
    path = tmp_path / "run.jsonl"
    model = Scripted("print('hunter2hunter2', 'code word')", "FINAL: hunter2hunter2")
    rlm = RLM(model, cache_dir=tmp_path, trace_path=path, secrets=["code word"])
    answer, trace = rlm.run("Q?", Context.from_text("text"))
    assert answer == "hunter2hunter2"
    assert trace.steps[1].stdout == "hunter2hunter2 code word\n"
    assert "hunter2" not in path.read_text()
    assert "code word" not in path.read_text()
    assert json.loads(path.read_text().splitlines()[-1])["answer"] == HIDDEN
