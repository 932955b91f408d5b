"""Which adapter a model's name asks for, as people write it on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.adapters.served import ServedAdapter

ANTHROPIC = "anthropic/"
AZURE = "azure/"
OFFLINE = "offline"
"""What the built-in model is called, which needs no adapter that is served."""
SILENCE_SECONDS = 300.0  # a large local model reads its prompt for minutes before the first byte
CALL_SECONDS = 1_800.0


def adapter_named(name: str, *, base_url: str | None = None) -> ServedAdapter:
    """The adapter for `anthropic/MODEL`, `azure/DEPLOYMENT`, or a name at an OpenAI-compatible
    server. Keys come from each provider's own place in the environment.

    With a `base_url` every name is that server's own: gateways have models that are called
    `anthropic/...` too. It waits `SILENCE_SECONDS` for a byte, and `CALL_SECONDS` for a reply.
    Raises ValueError for what cannot work.
    """
    if base_url is None and name in {ANTHROPIC, AZURE}:
        raise ValueError(f"which model? write for example {name}NAME")
    if base_url is None and name.startswith(ANTHROPIC):
        from rlm_core.adapters.anthropic import AnthropicAdapter

        model = name.removeprefix(ANTHROPIC)
        return AnthropicAdapter(model=model, timeout=SILENCE_SECONDS, deadline=CALL_SECONDS)
    if base_url is None and name.startswith(AZURE):
        from rlm_core.adapters.azure_openai import AzureOpenAIAdapter

        model = name.removeprefix(AZURE)
        return AzureOpenAIAdapter(model=model, timeout=SILENCE_SECONDS, deadline=CALL_SECONDS)
    from rlm_core.adapters.openai_compat import OpenAICompatAdapter

    return OpenAICompatAdapter(
        model=name, base_url=base_url, timeout=SILENCE_SECONDS, deadline=CALL_SECONDS
    )
