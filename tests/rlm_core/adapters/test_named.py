"""A model's name says whose model it is."""

from __future__ import annotations

import pytest

from rlm_core.adapters import AnthropicAdapter, AzureOpenAIAdapter, OpenAICompatAdapter
from rlm_core.adapters.named import adapter_named

URL = "http://127.0.0.1:1/v1"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_BASE_URL", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_ACCOUNT_NAME", "me")


@pytest.mark.parametrize(
    ("name", "kind", "model"),
    [
        ("anthropic/claude-x", AnthropicAdapter, "claude-x"),
        ("azure/my-gpt", AzureOpenAIAdapter, "my-gpt"),
        ("gpt-x", OpenAICompatAdapter, "gpt-x"),
        ("meta/llama", OpenAICompatAdapter, "meta/llama"),
    ],
)
def test_a_prefix_names_the_provider(name: str, kind: type[object], model: str) -> None:
    adapter = adapter_named(name)
    assert type(adapter) is kind
    assert adapter.model == model


@pytest.mark.parametrize("name", ["anthropic/claude-x", "azure/my-gpt", "gpt-x"])
def test_with_a_base_url_every_name_is_that_servers_own(name: str) -> None:
    adapter = adapter_named(name, base_url=URL)
    assert adapter.identity == f"OpenAICompatAdapter:{URL}/chat/completions:{name}"


@pytest.mark.parametrize("name", ["anthropic/", "azure/"])
def test_a_provider_alone_is_no_model(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}NAME"):
        adapter_named(name)


def test_azure_without_an_endpoint_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_ACCOUNT_NAME")
    with pytest.raises(ValueError, match="OPENAI_ENDPOINT"):
        adapter_named("azure/my-gpt")
