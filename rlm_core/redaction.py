"""What a trace file must not hold: secrets always, and, if asked, what texts say.

A secret is the value of an environment variable whose name says so, or a text in the form of a
well-known kind of key. Content, if it is to be left out, is replaced by its length and a digest.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rlm_core.digest import short_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN = "[REDACTED]"
SHORTEST_SECRET = 8
"""Characters; a shorter value of a variable would be found in harmless words."""
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
_FORMS = re.compile(
    r"""
      \bsk-[A-Za-z0-9_-]{16,}                                  # model providers
    | \b(?:ghp|gho|ghs|ghu)_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                           # chat services
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                            # cloud access keys
    | \bAIza[A-Za-z0-9_-]{30,}
    | \beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}                   # signed web tokens
    | (?<=Bearer\ )[A-Za-z0-9._~+/-]{16,}
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                          # user and password in an address
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SIGNS = (
    *("sk-", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA"),
    *("AIza", "eyJ", "Bearer ", "://", "-----BEGIN"),
)
"""What each of the forms has in it, with which looking takes a hundredth of the time."""
_CONTENT = frozenset(
    {"query", "prompt_summary", "code", "output", "stdout", "error", "text", "answer", "message"}
    | {"paths", "system_prompt", "recursive_system_prompt", "fallback_code", "value"}
)
"""Fields of records that hold what people, models and texts said."""


@dataclass(frozen=True)
class Redaction:
    """Cleans records on their way to a file."""

    secrets: tuple[str, ...] = ()
    """Texts that are hidden wherever they occur."""
    content: bool = False
    """Leave out what texts say as well. Such a trace can be looked at, and not be replayed."""

    @classmethod
    def of_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        more: Iterable[str] = (),
        content: bool = False,
    ) -> Redaction:
        """The secrets that variables of this process hold, and `more` that the caller knows."""
        environment = os.environ if environment is None else environment
        found = {
            value.strip()
            for name, value in environment.items()
            if _NAMES.search(name) and _is_secret(value.strip())
        }
        return cls(tuple(sorted({*found, *filter(None, more)}, key=len, reverse=True)), content)

    def of_record(self, record: dict[str, object]) -> dict[str, object]:
        """The record without what it must not hold; marked, where something was taken away."""
        cleaned = {name: self._field(name, value) for name, value in record.items()}
        return cleaned if cleaned == record else cleaned | {"redacted": True}

    def concerns(self, line: bytes) -> bool:
        """False for a record, in JSON of ASCII alone, from which nothing is to be taken away."""
        return self.content or any(map(line.__contains__, self._signs))

    @cached_property
    def _signs(self) -> tuple[bytes, ...]:
        """What stands in every line with a secret: signs of the forms, and secrets in JSON."""
        in_json = [json.dumps(secret)[1:-1] for secret in self.secrets]
        signs = (*self.secrets, *in_json, *_SIGNS)  # an encoder need not escape all that it may
        return tuple(dict.fromkeys(sign.encode(errors="surrogatepass") for sign in signs))

    def is_in(self, data: bytes) -> bool:
        """True for bytes that hold, as UTF-8, what is to be taken away."""
        if not self.concerns(data):
            return False
        text = data.decode(errors="replace")
        return self.content or self.of_text(text) != text

    def of_text(self, text: str) -> str:
        """A text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return _FORMS.sub(HIDDEN, text) if any(map(text.__contains__, _SIGNS)) else text

    def _field(self, name: str, value: object) -> object:
        if self.content and name in _CONTENT and value is not None:
            return _stand_in(value)
        if isinstance(value, str):
            return self.of_text(value)
        if isinstance(value, dict):
            return {str(key): self._field(str(key), inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._field(name, inner) for inner in value]
        return value


def _is_secret(value: str) -> bool:
    """A path or a number is no secret, whatever its variable is called."""
    return len(value) >= SHORTEST_SECRET and not value.startswith("/") and not value.isdigit()


def _stand_in(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"[{len(text)} characters, sha256 {short_digest(text)}]"
