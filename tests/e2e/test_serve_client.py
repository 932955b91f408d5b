"""The official client before a server that answers, refuses, fails and is full."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rlm_core.serve.keys import Keys
from tests.e2e.official import DOCUMENT, MODEL, QUESTION, Asking, openai
from tests.rlm_core.adapters.chat_server import ChatServer, json_reply
from tests.rlm_core.serve.serving import LONG, SECONDS, Serving, model_that

KEY = "a-key-for-this-test-alone"


def served(model: ChatServer, **settings: Any) -> Serving:
    keys = Keys.of_environment({"RLM_SERVE_KEYS": KEY})
    return Serving(model, profile={"aliases": (MODEL,)}, keys=keys, **settings)


def client_of(server: Serving, **options: Any) -> Any:
    return openai.OpenAI(base_url=server.base_url, **{"api_key": KEY, **options})


@pytest.mark.parametrize("messages", [QUESTION, DOCUMENT])
def test_structured_output_is_parsed_by_the_client(messages: Any) -> None:
    import pydantic

    class Builder(pydantic.BaseModel):
        who: str
        year: int | None

    def answers(prompt: str) -> str:
        return 'FINAL: {"who": "Ann", "year": 1902}' if "is missing" in prompt else "FINAL: {}"

    with model_that(answers) as model, served(model) as server, client_of(server) as client:
        said = client.chat.completions.parse(
            model=MODEL, messages=messages, response_format=Builder
        )
    assert said.choices[0].message.parsed == Builder(who="Ann", year=1902)


def test_every_error_is_the_clients_own_class_and_only_what_helps_is_tried_again() -> None:
    failing = json_reply({"error": {"message": "no such model"}}, status=404)
    with (
        ChatServer(failing) as model,
        served(model, most_bytes=100_000) as server,
        client_of(server) as client,
    ):
        stranger = client.with_options(api_key="wrong-wrong-wrong-wrong")
        with pytest.raises(openai.AuthenticationError, match="API key is needed"):
            stranger.chat.completions.create(model=MODEL, messages=QUESTION)
        ask = client.chat.completions.create
        with pytest.raises(openai.NotFoundError, match="gpt-9") as unknown:
            ask(model="gpt-9", messages=QUESTION)
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as refused:
            ask(model=MODEL, messages=QUESTION, n=2)
        assert refused.value.param == "n"
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        with pytest.raises(openai.BadRequestError, match="tools are not supported"):
            ask(model=MODEL, messages=QUESTION, tools=[tool])
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
        with pytest.raises(openai.BadRequestError, match="images are not supported"):
            ask(model=MODEL, messages=[{"role": "user", "content": image}])
        with pytest.raises(openai.APIStatusError) as large:
            ask(model=MODEL, messages=[{"role": "user", "content": "x" * 200_000}])
        assert large.value.status_code == 413
        asked_before = len(model.requests)
        with pytest.raises(openai.InternalServerError) as upstream:
            ask(model=MODEL, messages=QUESTION)
        assert upstream.value.status_code == 502
        assert len(model.requests) == asked_before + 1  # not tried again by the client
        with pytest.raises(openai.APIError, match=r"did not answer|refused"):
            list(ask(model=MODEL, messages=DOCUMENT, stream=True))


def test_a_client_that_is_told_to_come_later_comes_later_by_itself() -> None:
    answering = threading.Event()

    def slow(prompt: str) -> str:
        if "first" in prompt:
            assert answering.wait(SECONDS)
        return "FINAL: done"

    first = [{"role": "user", "content": "first " + LONG}, *QUESTION]
    with (
        model_that(slow) as model,
        served(model, turns=1, places=0) as server,
        Asking(server.base_url, KEY, first) as asking,
        client_of(server, max_retries=0) as blunt,
    ):
        asking.until_the_model_is_asked(model)
        with pytest.raises(openai.RateLimitError) as busy:
            blunt.chat.completions.create(model=MODEL, messages=DOCUMENT)
        assert busy.value.response.headers["retry-after"]
        threading.Timer(0.2, answering.set).start()
        with client_of(server, max_retries=8) as patient:
            said = patient.chat.completions.create(model=MODEL, messages=DOCUMENT)
    assert asking.said == ["done"]
    assert said.choices[0].message.content == "done"
