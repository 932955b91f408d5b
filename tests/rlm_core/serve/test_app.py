from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rlm_core.serve.keys import Allowance, Client, Keys
from tests.rlm_core.adapters.chat_server import ChatServer, chat, json_reply
from tests.rlm_core.serve.serving import LONG, Serving, asked, asked_of

ALICE, BOB = "alice-alice-alice-alice", "bob-bob-bob-bob-bob"


def keys(**alice: Any) -> Keys:
    """Alice has these limits, Bob has none."""
    clients = {ALICE: Client("alice", Allowance(**alice)), BOB: Client("bob", Allowance())}
    return Keys({hashlib.sha256(key.encode()).digest(): each for key, each in clients.items()})


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_the_profiles_are_the_models() -> None:
    with Serving(None, profile={"model": "offline", "aliases": ("gpt-4o", "a/b")}) as serving:
        listed = serving.request("GET", "/v1/models").json()
        one = serving.request("GET", "/v1/models/a/b").json()
        none = serving.request("GET", "/v1/models/none")
    assert [each["id"] for each in listed["data"]] == ["fast", "gpt-4o", "a/b"]
    assert one["id"] == "a/b"
    assert (none.status_code, none.json()["error"]["code"]) == (404, "model_not_found")


def test_health_says_whether_requests_are_taken_and_nothing_else() -> None:
    with Serving(None, profile={"model": "offline"}, keys=keys()) as serving:
        well = serving.request("GET", "/healthz")
        serving.service.closing = True
        ending = serving.request("GET", "/healthz")
    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert (ending.status_code, ending.json()) == (503, {"status": "closing"})


def test_metrics_tell_of_requests_and_need_a_key_where_keys_are_needed() -> None:
    with ChatServer(chat("x")) as model, Serving(model, keys=keys()) as serving:
        serving.post(asked(), **bearer(BOB))
        told = serving.request("GET", "/metrics", **bearer(BOB))
        refused = serving.request("GET", "/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = 'rlm_requests_total{model="fast",way="straight",status="200"} 1'
    assert line in told.text.splitlines()
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/", 404),
        ("POST", "/v1/completions", 404),
        ("POST", "/v1/chat/completions/", 404),
    ],
)
def test_other_addresses_and_methods_are_errors_of_the_same_shape(
    method: str, path: str, status: int
) -> None:
    with Serving(None, profile={"model": "offline"}) as serving:
        said = serving.request(method, path)
    assert said.status_code == status
    assert said.json()["error"]["type"] == "invalid_request_error"


def test_keys_are_needed_and_say_what_may_be_asked() -> None:
    with ChatServer(chat("x")) as model, Serving(model, keys=keys(models=())) as serving:
        nobody = serving.post(asked())
        wrong = serving.post(asked(), **bearer("wrong-wrong-wrong-wrong"))
        bob = serving.post(asked(), **bearer(BOB))
        alice = serving.post(asked(), **bearer(ALICE))
        seen = serving.request("GET", "/v1/models", **bearer(ALICE)).json()
    assert [each.status_code for each in (nobody, wrong, bob, alice)] == [401, 401, 200, 404]
    assert nobody.json()["error"]["code"] == "invalid_api_key"
    assert "wrong-wrong" not in wrong.text
    assert seen["data"] == []


def test_a_key_that_has_used_its_tokens_is_told_so_and_others_are_not() -> None:
    used = {"prompt_tokens": 90, "completion_tokens": 20, "total_tokens": 110}
    with (
        ChatServer(chat("x", usage=used)) as model,
        Serving(model, keys=keys(tokens=100)) as serving,
    ):
        first = serving.post(asked(), **bearer(ALICE))
        second = serving.post(asked(), **bearer(ALICE))
        bob = serving.post(asked(), **bearer(BOB))
    assert [each.status_code for each in (first, second, bob)] == [200, 429, 200]
    error = second.json()["error"]
    assert error["type"] == error["code"] == "insufficient_quota"
    assert second.headers["x-should-retry"] == "false"
    assert len(model.requests) == 2


def test_the_tokens_that_a_key_has_left_are_the_budget_of_its_run() -> None:
    used = {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}
    with (
        ChatServer(chat("```python\nx = 1\n```", usage=used)) as model,
        Serving(model, keys=keys(tokens=100)) as serving,
    ):
        said = serving.post(asked_of(LONG), **bearer(ALICE))
    assert said.json()["rlm"]["ending"] == "max_tokens"
    assert said.json()["choices"][0]["finish_reason"] == "length"
    assert len(model.requests) <= 3


def test_a_request_that_is_too_large_is_refused_before_it_is_read() -> None:
    with Serving(None, profile={"model": "offline"}, most_bytes=1000) as serving:
        said = serving.post(asked("x" * 100_000))
    assert (said.status_code, said.json()["error"]["code"]) == (413, "request_too_large")


def test_only_json_is_taken_for_json() -> None:
    with Serving(None, profile={"model": "offline"}) as serving:
        said = serving.post(asked(), content_type="text/plain")
    assert said.status_code == 415


def test_without_keys_a_page_in_a_browser_cannot_ask_by_a_name_of_its_own() -> None:
    settings: dict[str, Any] = {"allowed_hosts": frozenset({"box.lan"})}
    with Serving(None, profile={"model": "offline"}, **settings) as serving:
        evil = serving.post(asked(), host="evil.example:8000")
        answers = [
            serving.post(asked(), host=host).status_code
            for host in ("localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1", "box.lan:80")
        ]
    assert (evil.status_code, evil.json()["error"]["code"]) == (403, "unknown_host")
    assert answers == [200] * 5


def test_an_unknown_model_is_what_openai_calls_it() -> None:
    with Serving(None, profile={"model": "offline"}) as serving:
        said = serving.post({**asked(), "model": "gpt-9"})
    error = said.json()["error"]
    assert said.status_code == 404
    assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_a_model_that_fails_is_told_without_its_address_or_words() -> None:
    reply = json_reply({"error": {"message": "sk-123456789012345678 at /root/x"}}, status=400)
    with ChatServer(reply) as model, Serving(model) as serving:
        said = serving.post(asked())
        streamed = serving.post(asked_of(LONG, stream=True))
    assert said.status_code == 502
    assert said.headers["x-should-retry"] == "false"
    assert streamed.status_code == 200
    assert "upstream_refused" in streamed.text
    assert streamed.text.endswith("data: [DONE]\n\n")
    for text in (said.text, streamed.text):
        assert not any(secret in text for secret in ("sk-", "/root", model.base_url, "Traceback"))
