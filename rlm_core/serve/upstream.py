"""The models behind a profile, with their connections, for as long as the server runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.adapters.environment import base_url_from
from rlm_core.adapters.named import CALL_SECONDS, OFFLINE, SILENCE_SECONDS, adapter_named
from rlm_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.adapters.served import ServedAdapter
    from rlm_core.serve.profile import Profile


@dataclass(frozen=True)
class Upstream:
    """A root model, and the sub-model where it is another."""

    root: ModelAdapter
    sub: ModelAdapter | None

    @classmethod
    def of(
        cls, profile: Profile, resources: ExitStack, environment: Mapping[str, str] | None = None
    ) -> Upstream:
        """The models of a profile, closed with `resources`. Raises ConfigError."""
        environment = os.environ if environment is None else environment
        root = _model(profile, profile.model, resources, environment)
        if profile.sub_model is None:
            return cls(root, None)
        return cls(root, _model(profile, profile.sub_model, resources, environment))


def _model(
    profile: Profile, name: str, resources: ExitStack, environment: Mapping[str, str]
) -> ModelAdapter:
    if name == OFFLINE:
        from rlm_core.adapters.offline import OfflineAdapter

        return OfflineAdapter()
    if profile.key_env is not None:
        return resources.enter_context(_with_key(profile, name, profile.key_env, environment))
    try:
        adapter = adapter_named(name, base_url=profile.base_url or base_url_from(environment))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return resources.enter_context(adapter)


def _with_key(
    profile: Profile, name: str, key_env: str, environment: Mapping[str, str]
) -> ServedAdapter:
    from rlm_core.adapters.openai_compat import OpenAICompatAdapter

    key = environment.get(key_env, "").strip()
    if not key:
        raise ConfigError(f"the variable {key_env} is not set: it holds the key for {name}")
    try:
        return OpenAICompatAdapter(
            model=name,
            base_url=profile.base_url,
            api_key=key,
            timeout=SILENCE_SECONDS,
            deadline=CALL_SECONDS,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
