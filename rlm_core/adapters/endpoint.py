"""Where a model listens, what is sent along, and what must never be shown of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rlm_core.adapters.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REPLY_BYTES = 32 * 1024 * 1024  # a chat reply is kilobytes; more is a mistake or an attack
MAX_SHOWN = 300  # characters of a server's own words in an error message
LEAST_SECRET = 8  # characters; blotting out shorter ones would garble the message and hide nothing


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to post, what to send along, and how patient to be. Times are seconds."""

    url: str
    headers: Mapping[str, str]
    timeout: float = 60.0
    """Longest silence of the server in one attempt."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_reply_bytes: int = MAX_REPLY_BYTES
    secrets: tuple[str, ...] = ()
    """Texts that must never appear in an error or a log: keys."""
    key_names: str = "LLM_API_KEY or OPENAI_API_KEY"
    """Where people put the key: told to those whose key is missing or wrong."""
    address_hint: str = "check the base URL (it usually ends in /v1) and the model's name"
    """What to do when something answers that is no model."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not bool(parts.hostname):
            raise ValueError(
                f"not an address of a model server: {self.url.rpartition('@')[2]!r} (write for "
                f"example http://localhost:11434/v1)"
            )
        if "@" in parts.netloc:
            raise ValueError("the address holds a user name or password: give a key as api_key")
        for name, value in self.headers.items():
            if not (name.isascii() and value.isascii() and value.isprintable()):
                raise ValueError(
                    f"the header {name!r} (or the key in it) holds a line end, a control "
                    f"character or a letter outside ASCII: check how it was copied"
                )
        if not self.timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, not {self.timeout!r}")

    @property
    def shown(self) -> str:
        """The address without what may hold a secret: no user, password, query or fragment."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def hide(self, text: str) -> str:
        """`text` on one line, shortened, with every secret blotted out."""
        for secret in self.secrets:
            if len(secret) >= LEAST_SECRET:
                text = text.replace(secret, "[key]")
        line = " ".join(text.split())
        return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 3] + "..."
