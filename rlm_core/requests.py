"""What code asks of sub-models, checked: the worker is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.digest import digest

if TYPE_CHECKING:
    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.calls import CancelScope


class Request(Struct, frozen=True):
    """One prompt for a sub-model."""

    prompt: str
    digest: str
    """Of the prompt, which may be long: it stands for it in keys."""
    max_tokens: int
    depth: int
    """1 for a call from the root's code, one more for each episode in between."""
    model: str | None = None
    group: str | None = None
    index: int | None = None
    total: int | None = None


class EpisodeRequest(Struct, frozen=True):
    """A request that an episode of its own answers."""

    prompt: str
    adapter: ModelAdapter
    max_tokens: int
    level: int
    parent_id: int
    name: str
    """The same for the same request, in every run."""
    scope: CancelScope


def request_of(prompt: object, options: object, *, level: int, max_tokens: int) -> Request:
    """The request of code at this level; `max_tokens` is for those who say nothing of them.

    Raises TypeError or ValueError for what is none.
    """
    given = options if isinstance(options, dict) else {}
    if not isinstance(prompt, str):
        raise TypeError(f"a prompt must be a text, not {type(prompt).__name__}")
    model = given.get("model")
    return Request(
        prompt=prompt,
        digest=digest(prompt),
        max_tokens=_whole(given.get("max_tokens"), max_tokens, "max_tokens"),
        depth=level + _whole(given.get("depth"), 1, "depth"),
        model=model if isinstance(model, str) else None,
        group=given["group"] if isinstance(given.get("group"), str) else None,
        index=given["index"] if isinstance(given.get("index"), int) else None,
        total=given["total"] if isinstance(given.get("total"), int) else None,
    )


def _whole(value: object, default: int, name: str) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
