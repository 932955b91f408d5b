"""What the `model` of a request chooses among: profiles, from a small TOML file.

```toml
default = "fast"                    # what is listed first; without it, the first profile

[profiles.fast]
model = "gpt-5-mini"                # as `rlm ask --model` takes it
sub_model = "gpt-5-nano"
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"          # the variable that holds the key of the model's server
aliases = ["gpt-4o"]                # further names that requests may use
max_steps = 20
max_cost = 0.50
prices."*" = { prompt = 0.25, completion = 2.0 }   # per million tokens
```
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rlm_core.chat_request import DIRECT_BELOW_CHARS
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy, Price

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rlm_core.chat_request import ChatSettings

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class PriceOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs, per million tokens."""

    prompt: NotNegative
    completion: NotNegative


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model, its sub-model, and what one request may use of them. Names are those of `Policy`."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    sub_model: str | None = None
    base_url: str | None = None
    key_env: str | None = None
    """The environment variable with the key for `base_url`; without it, as `rlm ask` finds one."""
    aliases: tuple[str, ...] = ()
    max_steps: Count = 40
    max_subcalls: Annotated[int, msgspec.Meta(ge=0)] = 200
    max_total_tokens: Count | None = 200_000
    max_seconds: Positive | None = None
    max_cost: NotNegative | None = None
    prices: dict[str, PriceOf] = {}
    reply_tokens: Count = 4_096
    """What one reply of the model may have: a program with its reasoning, or a short answer."""
    sub_reply_tokens: Count = 1_024
    recursive: bool = False
    """Whether a sub-model's task may be an episode of its own, in a sandbox of its own."""
    max_recursion_depth: Count = 2
    concurrent_subcalls: Count = 10
    parallel_subcalls: bool = True
    direct_below_chars: Annotated[int, msgspec.Meta(ge=0)] = DIRECT_BELOW_CHARS
    """Requests of fewer characters go straight to the model."""
    isolation: Literal["auto", "full", "standard", "none"] = "auto"
    memory: str | None = None
    """What the code of one request may hold, as in "512MiB"."""
    step_seconds: Positive | None = None

    def __post_init__(self) -> None:
        if self.max_cost is not None and not self.prices:
            raise ValueError("max_cost needs prices: without them everything is free")

    def policy(self) -> Policy:
        """What one request may use, where it asks for no less."""
        return Policy(
            max_steps=self.max_steps,
            max_subcalls=self.max_subcalls,
            max_recursion_depth=self.max_recursion_depth if self.recursive else 1,
            max_total_tokens=self.max_total_tokens,
            max_seconds=self.max_seconds,
            max_cost=self.max_cost,
            prices=self._prices(),
        )

    def _prices(self) -> dict[str, Price]:
        """A model that calls itself otherwise than it is called here costs as the dearest."""
        prices = {name: Price(each.prompt, each.completion) for name, each in self.prices.items()}
        if not prices:
            return {}
        prompt = max(each.prompt for each in prices.values())
        completion = max(each.completion for each in prices.values())
        return {"*": Price(prompt, completion), **prices}

    def policy_for(self, settings: ChatSettings) -> Policy:
        """The same with the limits of a request, which may be lower and are never higher."""
        policy = self.policy()
        lower = {
            name: _lower(getattr(policy, name), value) for name, value in settings.limits().items()
        }
        return replace(policy, **lower)


def _lower(limit: float | None, wanted: float) -> float:
    return wanted if limit is None else min(limit, wanted)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file."""

    profiles: Annotated[dict[str, Profile], msgspec.Meta(min_length=1)]
    default: str | None = None


@dataclass(frozen=True)
class Profiles:
    """All profiles by name, the default one first. Raises ConfigError for names given twice."""

    by_name: Mapping[str, Profile]

    def __post_init__(self) -> None:
        names = self.names()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"{', '.join(twice)}: a name that two profiles have, or one twice")

    @classmethod
    def read(cls, path: Path) -> Profiles:
        """The profiles of a TOML file. Raises ConfigError, with the place in it."""
        try:
            file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path}: {error}") from error
        return cls(_default_first(file, path))

    def find(self, name: str) -> tuple[str, Profile] | None:
        """The profile that goes by this name or alias, and its own name."""
        if name in self.by_name:
            return name, self.by_name[name]
        for own, profile in self.by_name.items():
            if name in profile.aliases:
                return own, profile
        return None

    def names(self) -> list[str]:
        """All that a request may name, aliases too."""
        return [name for own, each in self.by_name.items() for name in (own, *each.aliases)]


def _default_first(file: _File, path: Path) -> dict[str, Profile]:
    if file.default is None:
        return file.profiles
    if file.default not in file.profiles:
        known = ", ".join(file.profiles)
        raise ConfigError(f"{path}: default = {file.default!r} is none of the profiles: {known}")
    return {file.default: file.profiles[file.default], **file.profiles}
