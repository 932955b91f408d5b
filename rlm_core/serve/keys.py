"""Who may ask: API keys, and what each may use. Keys are kept as digests only.

```toml
[keys.alice]
key = "a long random text"          # or sha256 = "its SHA-256 in hex"
concurrency = 4                     # requests at once
tokens = 2_000_000                  # of all models, per period
cost = 5.0                          # in the currency of the profiles' prices, per period
period_hours = 24.0
models = ["fast"]                   # profiles that it may use; without it, all
```
"""

from __future__ import annotations

import hashlib
import hmac
import stat
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

from rlm_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KEYS_VARIABLE = "RLM_SERVE_KEYS"
SHORTEST_KEY = 16
"""Characters; a shorter key can be guessed."""
ANYONE = "anyone"
"""The name under which requests are counted where no key is needed."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What one key may use. None means no limit."""

    concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    cost: Annotated[float, msgspec.Meta(gt=0)] | None = None
    period_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    models: tuple[str, ...] | None = None


class _Entry(Allowance, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key in the file, and what it may use."""

    key: str | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file."""

    keys: Annotated[dict[str, _Entry], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Client:
    """Who asks, by the name of the key, which is no secret."""

    name: str
    allowance: Allowance


@dataclass(frozen=True)
class Keys:
    """All keys by their digests; none at all means that everybody may ask."""

    by_digest: Mapping[bytes, Client]

    @classmethod
    def read(cls, path: Path) -> Keys:
        """The keys of a TOML file. Raises ConfigError, without saying a key."""
        try:
            mode = path.stat().st_mode
            file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path}: {error}") from error
        if mode & (stat.S_IRGRP | stat.S_IROTH) and any(e.key for e in file.keys.values()):
            raise ConfigError(f"{path} can be read by others and holds keys: chmod 600 {path}")
        return cls._of([(f"key {name!r}", name, entry) for name, entry in file.keys.items()])

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Keys:
        """The keys in RLM_SERVE_KEYS, separated by commas; without limits. Raises ConfigError."""
        given = [key.strip() for key in environment.get(KEYS_VARIABLE, "").split(",")]
        keys = [key for key in given if key]
        entries = [
            (f"{KEYS_VARIABLE}, key {number}", f"key-{number}", _Entry(key=key))
            for number, key in enumerate(keys, 1)
        ]
        return cls._of(entries)

    @classmethod
    def _of(cls, entries: Sequence[tuple[str, str, _Entry]]) -> Keys:
        by_digest: dict[bytes, Client] = {}
        for where, name, entry in entries:
            digest = _digest_of(entry, where)
            if digest in by_digest:
                raise ConfigError(f"{where} is the same as that of {by_digest[digest].name!r}")
            by_digest[digest] = Client(name, entry)
        return cls(by_digest)

    def client(self, authorization: str | None) -> Client | None:
        """Who asks with this `Authorization` header, or None. Takes as long for any wrong key."""
        if not self.by_digest:
            return Client(ANYONE, Allowance())
        scheme, _, key = (authorization or "").partition(" ")
        digest = _sha256(key.strip())
        found: Client | None = None
        for known, client in self.by_digest.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(known, digest):
                found = client
        return found if scheme.lower() == "bearer" else None


def _digest_of(entry: _Entry, where: str) -> bytes:
    match entry.key, entry.sha256:
        case str(key), None if len(key) >= SHORTEST_KEY:
            return _sha256(key)
        case str(), None:
            raise ConfigError(f"{where} is too short: {SHORTEST_KEY} characters at least")
        case None, str(digest):
            return bytes.fromhex(digest)
    raise ConfigError(f"{where}: give either key or sha256")


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
