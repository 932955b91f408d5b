"""AzureOpenAIAdapter finds its endpoint and speaks as that endpoint wants."""

from __future__ import annotations

import pytest

from rlm_core.adapters import (
    AzureOpenAIAdapter,
    KeyRefused,
    ModelError,
    RateLimited,
    RequestRefused,
    ServerFailed,
    Usage,
)
from rlm_core.adapters.azure_openai import API_VERSION, azure_endpoint_from, azure_url
from tests.rlm_core.adapters.chat_server import ChatServer, Stream, chat, events, json_reply
from tests.rlm_core.adapters.providers import KEY, REASONING_MODEL, chunks

HELLO = [{"role": "user", "content": "hello"}]
NAMES = (
    "AZURE_OPENAI_API_KEY",
    "OPENAI_ENDPOINT",
    "AZURE_ACCOUNT_NAME",
    "AZURE_OPENAI_API_VERSION",
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def origin(server: ChatServer) -> str:
    return server.base_url.removesuffix("/v1")


def test_an_endpoint_without_a_path_has_an_address_for_each_deployment() -> None:
    classic = "https://me.openai.azure.com/openai/deployments/my%20gpt/chat/completions"
    assert azure_url("https://me.openai.azure.com/", "my gpt", "2024-10-21") == (
        f"{classic}?api-version=2024-10-21"
    )


def test_an_endpoint_with_a_path_speaks_v1() -> None:
    assert azure_url("https://me.openai.azure.com/openai/v1/", "gpt", "x") == (
        "https://me.openai.azure.com/openai/v1/chat/completions"
    )


def test_the_endpoint_is_found_where_people_put_it() -> None:
    both = {"OPENAI_ENDPOINT": "https://a ", "AZURE_ACCOUNT_NAME": "b"}
    assert azure_endpoint_from(both) == "https://a"
    assert azure_endpoint_from({"AZURE_ACCOUNT_NAME": "b"}) == "https://b.openai.azure.com"
    assert azure_endpoint_from({"OPENAI_ENDPOINT": " "}) is None


def test_without_an_endpoint_it_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="OPENAI_ENDPOINT or AZURE_ACCOUNT_NAME"):
        AzureOpenAIAdapter(model="gpt")


def test_a_deployment_is_asked_with_the_key_in_its_own_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    with ChatServer(chat("hi", usage=usage, prompt_filter_results=[])) as server:
        monkeypatch.setenv("OPENAI_ENDPOINT", origin(server))
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", f"{KEY}\n")
        with AzureOpenAIAdapter(model="gpt") as model:
            reply = model.complete(HELLO, max_tokens=7)
        request = server.requests[0]
    assert (reply.text, reply.usage, reply.model_id) == ("hi", Usage(3, 1, 4), "gpt")
    assert reply.meta is not None
    assert reply.meta["provider"] == "azure_openai"
    assert request.path == (f"/openai/deployments/gpt/chat/completions?api-version={API_VERSION}")
    assert request.headers["api-key"] == KEY
    assert "Authorization" not in request.headers
    assert request.payload == {"messages": HELLO, "max_tokens": 7, "temperature": 0.0}


def test_the_version_is_the_one_given_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2025-01-01-preview")
    with ChatServer(chat("hi")) as server:
        for version in (None, "2099-01-01"):
            with AzureOpenAIAdapter(
                model="gpt", endpoint=origin(server), api_version=version
            ) as model:
                model.complete(HELLO)
        asked = [request.path.partition("api-version=")[2] for request in server.requests]
    assert asked == ["2025-01-01-preview", "2099-01-01"]


def test_the_endpoint_that_speaks_v1_is_told_the_deployment_as_the_model() -> None:
    with (
        ChatServer(chat("hi")) as server,
        AzureOpenAIAdapter(
            model="gpt", endpoint=f"{origin(server)}/openai/v1/", api_key=KEY
        ) as model,
    ):
        assert model.complete(HELLO).text == "hi"
        request = server.requests[0]
    assert request.path == "/openai/v1/chat/completions"
    assert request.payload["model"] == "gpt"
    assert request.headers["api-key"] == KEY


def test_a_deployment_that_reasons_gets_its_limit_by_its_name_and_no_temperature() -> None:
    with (
        ChatServer(REASONING_MODEL) as server,
        AzureOpenAIAdapter(model="o", endpoint=origin(server), api_key=KEY) as model,
    ):
        replies = [model.complete(HELLO, max_tokens=7) for _ in range(2)]
        payloads = [request.payload for request in server.requests]
    assert [reply.text for reply in replies] == ["within 7"] * 2
    assert len(payloads) == 4  # two refusals, and none for the second call
    assert payloads[-1] == {"messages": HELLO, "max_completion_tokens": 7}


def test_a_stream_begins_with_what_azure_puts_first() -> None:
    first = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    pieces = (*events(first), *chunks("he", "llo", usage=usage), *events("[DONE]"))
    with (
        ChatServer(Stream(pieces)) as server,
        AzureOpenAIAdapter(model="gpt", endpoint=origin(server), stream=True) as model,
    ):
        reply = model.complete(HELLO)
    assert (reply.text, reply.usage) == ("hello", Usage(4, 2, 6))


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            401,
            {"error": {"code": "401", "message": f"Access denied due to invalid key {KEY}"}},
            KeyRefused,
            "set AZURE_OPENAI_API_KEY",
        ),
        (401, {"statusCode": 401, "message": "Access denied"}, KeyRefused, "Access denied"),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "The deployment does not exist"}},
            RequestRefused,
            "name of the deployment",
        ),
        (
            404,
            {"error": {"code": "404", "message": "Resource not found"}},
            RequestRefused,
            "version",
        ),
        (
            400,
            {
                "error": {
                    "message": "The response was filtered",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            RequestRefused,
            "was filtered",
        ),
        (
            429,
            {"error": {"code": "429", "message": "exceeded token rate limit, retry after 26 s"}},
            RateLimited,
            "exceeded token rate limit",
        ),
        (500, {"error": {"code": "InternalServerError", "message": "oops"}}, ServerFailed, "oops"),
    ],
)
def test_every_error_is_told_in_azures_words(
    status: int, body: object, kind: type[ModelError], words: str
) -> None:
    with (
        ChatServer(json_reply(body, status)) as server,
        AzureOpenAIAdapter(
            model="gpt", endpoint=origin(server), api_key=KEY, max_retries=1, retry_base_delay=0.001
        ) as model,
        pytest.raises(kind) as caught,
    ):
        model.complete(HELLO)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.status == status


def test_the_identity_tells_deployments_apart_and_holds_no_key() -> None:
    one = AzureOpenAIAdapter(model="gpt", endpoint="https://me.openai.azure.com", api_key=KEY)
    assert one.identity == (
        "AzureOpenAIAdapter:https://me.openai.azure.com/openai/deployments/gpt/chat/completions:gpt"
    )
