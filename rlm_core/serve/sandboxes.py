"""Sandboxes that stand ready for the runs of each profile; each is used once, by one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlm_core import prelude
from rlm_sandbox import Limits, SandboxPool

if TYPE_CHECKING:
    from contextlib import ExitStack

    from rlm_core.serve.profile import Profiles


def pools_for(profiles: Profiles, size: int, resources: ExitStack) -> dict[str, SandboxPool]:
    """A pool for each profile by name; profiles that want the same of a sandbox share one.

    They are closed with `resources`. Raises SandboxError where this host cannot start one.
    """
    pools: dict[tuple[object, ...], SandboxPool] = {}
    by_profile: dict[str, SandboxPool] = {}
    for name, profile in profiles.by_name.items():
        wanted = (profile.isolation, profile.memory, profile.step_seconds)
        if wanted not in pools:
            limits = _limits(memory=profile.memory, step_seconds=profile.step_seconds)
            pool = SandboxPool(
                size, limits=limits, isolation=profile.isolation, modules=prelude.helper_modules()
            )
            pools[wanted] = resources.enter_context(pool)
        by_profile[name] = pools[wanted]
    return by_profile


def _limits(**given: Any) -> Limits:
    """The limits that a profile names; the others are the sandbox's own."""
    return Limits(**{name: value for name, value in given.items() if value is not None})
