from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from tests.rlm_core.adapters.chat_server import ChatServer, Hang, chat
from tests.rlm_core.serve.serving import (
    LONG,
    SECONDS,
    Serving,
    asked,
    asked_of,
    events_of,
    model_that,
    usage,
)

CODE = "```python\nfound = ctx.find('Ann', max_matches=1)\nsaid = llm_query('who?')\n```"


def finder(prompt: str) -> str:
    """A model that looks once, asks a sub-model once, and answers."""
    if prompt.endswith("who?"):
        return "It was Ann."
    return "FINAL_VAR: said" if CODE in prompt else CODE


def test_a_short_request_goes_straight_to_the_model() -> None:
    with ChatServer(chat("Ann.", usage=usage(7, 2))) as model, Serving(model) as serving:
        said = serving.post(asked(temperature=0.5, max_tokens=50))
    reply = said.json()
    assert said.status_code == 200
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "fast"
    message = {"role": "assistant", "content": "Ann.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    assert reply["choices"] == [choice]
    assert reply["usage"].items() >= usage(7, 2).items()
    assert reply["rlm"]["way"] == "straight"
    sent = model.requests[0].payload
    assert sent["messages"] == [{"role": "user", "content": "Who built the bridge?"}]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("tiny", 0.5, 50)


def test_a_long_request_is_searched_by_code_and_its_usage_is_that_of_the_whole_tree() -> None:
    with model_that(finder) as model, Serving(model) as serving:
        reply = serving.post(asked_of(LONG + "Ann built it." + LONG)).json()
    assert reply["choices"][0]["message"]["content"] == "It was Ann."
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["rlm"].items() >= {"way": "recursive", "ending": "final_var"}.items()
    assert reply["rlm"]["isolation"] in {"full", "standard"}
    used = reply["usage"]
    assert used["rlm"]["root"] == usage(200, 20)
    assert used["rlm"]["sub"] == usage(100, 10)
    assert used.items() >= usage(300, 30).items()
    assert (used["rlm"]["steps"], used["rlm"]["subcalls"]) == (2, 1)
    shown = model.requests[0].payload["messages"]
    assert LONG not in str(shown)


def test_a_stream_tells_its_progress_as_comments_and_the_answer_as_deltas() -> None:
    options = {"include_usage": True}
    with model_that(finder) as model, Serving(model) as serving:
        said = serving.post(asked_of(LONG, stream=True, stream_options=options))
    assert said.headers["content-type"].startswith("text/event-stream")
    assert any(line.startswith(": ") for line in said.text.splitlines())
    *chunks, done = events_of(said.text)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )
    assert text == "It was Ann."
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 330


def test_a_stream_has_no_usage_unless_it_is_asked_for() -> None:
    with ChatServer(chat("Ann.")) as model, Serving(model) as serving:
        *chunks, _ = events_of(serving.post(asked(stream=True)).text)
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


SCHEMA = {
    "type": "object",
    "properties": {"who": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["who", "year"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}


@pytest.mark.parametrize("context", ["", LONG])
def test_an_answer_has_the_form_that_was_asked_for(context: str) -> None:
    def answers(prompt: str) -> str:
        return 'FINAL: {"who": "Ann", "year": 1902}' if "is missing" in prompt else wrong

    wrong = 'FINAL: {"who": "Ann"}'
    with model_that(answers) as model, Serving(model) as serving:
        reply = serving.post(asked_of(context or "It was Ann.", response_format=FORM)).json()
    assert reply["choices"][0]["message"]["content"] == '{"who": "Ann", "year": 1902}'
    assert reply["rlm"]["way"] == ("recursive" if context else "straight")
    assert len(model.requests) == 2


def test_an_answer_that_never_has_the_form_is_an_error_and_not_an_answer() -> None:
    with ChatServer(chat("no")) as model, Serving(model) as serving:
        said = serving.post(asked(response_format=FORM))
    assert said.status_code == 422
    assert said.json()["error"]["code"] == "no_answer"
    assert said.json()["usage"]["rlm"]["steps"] == 3  # they were paid for
    assert len(model.requests) == 3


def test_an_answer_ends_at_a_stop_and_at_the_tokens_that_it_may_have() -> None:
    with ChatServer(chat("one two three four")) as model, Serving(model) as serving:
        stopped = serving.post(asked(stop=[" three", "never"])).json()["choices"][0]
    assert stopped["message"]["content"] == "one two"
    assert stopped["finish_reason"] == "stop"
    with ChatServer(chat("FINAL: " + "x" * 100)) as model, Serving(model) as serving:
        cut = serving.post(asked_of(LONG, max_tokens=5)).json()["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == ("x" * 20, "length")


def test_settings_in_the_request_override_the_rule_and_only_lower_the_limits() -> None:
    with (
        ChatServer(chat("```python\nx = 1\n```")) as model,
        Serving(model, profile={"max_steps": 5}) as serving,
    ):
        lower = serving.post(asked(rlm={"mode": "rlm", "max_steps": 2}))
        higher = serving.post(asked(rlm={"mode": "rlm", "max_steps": 500}))
    assert lower.status_code == higher.status_code == 422
    assert "max_steps" in lower.json()["error"]["message"]
    asked_the_model = len(model.requests)
    assert asked_the_model <= 2 + 5 + 2  # and one summary each, at most


def test_a_client_that_goes_frees_its_worker_and_ends_the_call_in_flight() -> None:
    with ChatServer(Hang()) as model, Serving(model, turns=1) as serving:
        gone = threading.Thread(target=_give_up, args=(serving, asked_of(LONG)))
        gone.start()
        assert model.client_gone.wait(SECONDS), "the model is still asked"
        gone.join()
        model.behaviours = [chat("FINAL: free")]
        assert serving.post(asked_of(LONG)).json()["choices"][0]["message"]["content"] == "free"
        assert serving.metric("rlm_clients_gone_total") == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_while_code_runs_ends_the_code(stream: bool) -> None:
    endless = chat("```python\nwhile True: pass\n```")
    with ChatServer(endless) as model, Serving(model, turns=1) as serving:
        _give_up(serving, asked_of(LONG, stream=stream), seconds=2.0)
        model.behaviours = [chat("FINAL: free")]
        assert serving.post(asked_of(LONG)).json()["choices"][0]["message"]["content"] == "free"


def _give_up(serving: Serving, body: dict[str, Any], seconds: float = 1.0) -> None:
    """Ask, and go away without an answer."""
    with httpx.Client(timeout=seconds) as client, pytest.raises(httpx.TimeoutException):
        client.post(f"{serving.base_url}/chat/completions", json=body)
