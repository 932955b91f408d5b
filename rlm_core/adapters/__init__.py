"""The models: each adapter is imported when it is first asked for, so that start-up stays fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.adapters.anthropic import AnthropicAdapter
    from rlm_core.adapters.azure_openai import AzureOpenAIAdapter
    from rlm_core.adapters.base import ModelAdapter, ModelResponse, Usage, estimate_usage
    from rlm_core.adapters.errors import (
        AdapterClosed,
        BadReply,
        KeyRefused,
        ModelError,
        ModelTimeout,
        RateLimited,
        RequestRefused,
        ServerFailed,
        Unreachable,
    )
    from rlm_core.adapters.fake import FakeAdapter, FakeRule
    from rlm_core.adapters.generic_chat import GenericChatAdapter
    from rlm_core.adapters.offline import OfflineAdapter
    from rlm_core.adapters.openai_compat import OpenAICompatAdapter

_HOME = {
    "AdapterClosed": "errors",
    "AnthropicAdapter": "anthropic",
    "AzureOpenAIAdapter": "azure_openai",
    "BadReply": "errors",
    "FakeAdapter": "fake",
    "FakeRule": "fake",
    "GenericChatAdapter": "generic_chat",
    "KeyRefused": "errors",
    "ModelAdapter": "base",
    "ModelError": "errors",
    "ModelResponse": "base",
    "ModelTimeout": "errors",
    "OfflineAdapter": "offline",
    "OpenAICompatAdapter": "openai_compat",
    "RateLimited": "errors",
    "RequestRefused": "errors",
    "ServerFailed": "errors",
    "Unreachable": "errors",
    "Usage": "base",
    "estimate_usage": "base",
}

__all__ = [
    "AdapterClosed",
    "AnthropicAdapter",
    "AzureOpenAIAdapter",
    "BadReply",
    "FakeAdapter",
    "FakeRule",
    "GenericChatAdapter",
    "KeyRefused",
    "ModelAdapter",
    "ModelError",
    "ModelResponse",
    "ModelTimeout",
    "OfflineAdapter",
    "OpenAICompatAdapter",
    "RateLimited",
    "RequestRefused",
    "ServerFailed",
    "Unreachable",
    "Usage",
    "estimate_usage",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
