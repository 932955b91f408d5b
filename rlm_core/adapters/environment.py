"""What the environment says of servers and keys, in the usual variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def base_url_from(environment: Mapping[str, str]) -> str | None:
    """The server named by LLM_BASE_URL or OPENAI_BASE_URL, if any."""
    return environment.get("LLM_BASE_URL") or environment.get("OPENAI_BASE_URL") or None


def api_key_from(environment: Mapping[str, str]) -> str | None:
    """The key in LLM_API_KEY or OPENAI_API_KEY, if any, without the line end of a pasted one."""
    key = environment.get("LLM_API_KEY") or environment.get("OPENAI_API_KEY") or ""
    return key.strip() or None
