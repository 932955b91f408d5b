"""What is to be done for a request: by which way, with which models, within which limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rlm_core.tokens import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from rlm_core.chat_request import Asked, Straight
    from rlm_core.policy import Policy
    from rlm_core.serve.account import Hold
    from rlm_core.serve.profile import Profile
    from rlm_core.serve.request import ApiRequest
    from rlm_core.serve.upstream import Upstream


@dataclass(frozen=True)
class Plan:
    """A request, its way, and what it may use."""

    request: ApiRequest
    chat: Straight | Asked
    profile_name: str
    profile: Profile
    upstream: Upstream
    policy: Policy
    seconds: float
    """Until its deadline, from now on."""

    @classmethod
    def of(
        cls,
        request: ApiRequest,
        profile_name: str,
        profile: Profile,
        upstream: Upstream,
        seconds: float,
    ) -> Plan:
        """The plan for a request of this profile. Raises BadRequest."""
        policy = profile.policy_for(request.settings)
        own = policy.max_seconds
        return cls(
            request=request,
            chat=request.chat(profile.direct_below_chars),
            profile_name=profile_name,
            profile=profile,
            upstream=upstream,
            policy=policy,
            seconds=seconds if own is None else min(own, seconds),
        )

    def within(self, hold: Hold, seconds: float) -> Plan:
        """The same with no more than its key has left, and than the time until its deadline."""
        seconds = max(0.001, min(self.seconds, seconds))
        policy = replace(
            self.policy,
            max_total_tokens=hold.tokens,
            max_cost=hold.cost,
            max_seconds=seconds,
        )
        return replace(self, policy=policy, seconds=seconds)

    @property
    def most_chars(self) -> int | None:
        """Characters of the answer, by the tokens that the request allows it."""
        tokens = self.request.most_tokens
        return None if tokens is None else tokens * CHARACTERS_PER_TOKEN
