"""The models: each adapter is imported when it is first asked for, so that start-up stays fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.adapters.base import ModelAdapter, ModelResponse, Usage, estimate_usage
    from rlm_core.adapters.fake import FakeAdapter, FakeRule

_HOME = {
    "FakeAdapter": "fake",
    "FakeRule": "fake",
    "ModelAdapter": "base",
    "ModelResponse": "base",
    "Usage": "base",
    "estimate_usage": "base",
}

__all__ = [
    "FakeAdapter",
    "FakeRule",
    "ModelAdapter",
    "ModelResponse",
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
