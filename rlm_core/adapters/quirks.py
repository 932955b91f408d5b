"""What some servers want otherwise: read in their refusal, remembered, heeded from then on. Pure.

Models that reason refuse a temperature, or want their limit under another name; some servers only
stream, some never do. Which model wants what changes by the month and hides behind deployment
names, so nothing here knows a model's name: the refusal itself is read.
"""

from __future__ import annotations

import re
import threading
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.reported import Reported

_STATUSES = frozenset({400, 422})
_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_UNWANTED = re.compile(
    r"not support|n't support|unsupported|not (?:be )?(?:allowed|permitted|accepted)"
    r"|unrecogni[sz]ed|unknown|unexpected|deprecated"
    r"|only the default|may only be|only .{0,20}allowed",
    re.IGNORECASE,
)
_STREAM_ONLY = re.compile(
    r"only supports? (?:the )?stream|enable (?:the )?[`'\"]?stream|stream\w*[`'\"]? is required"
    r"|[`'\"]?stream[`'\"]? must be (?:set to )?[`'\"]?true|non-stream\w* .{0,40}not support"
    r"|requires? (?:the )?[`'\"]?stream",
    re.IGNORECASE,
)
_USE_OTHER_LIMIT = re.compile(r"\buse\W+max_completion_tokens\b", re.IGNORECASE)


class Quirk(Enum):
    """One thing that a server wants otherwise."""

    NO_TEMPERATURE = "no temperature"
    COMPLETION_LIMIT = "max_completion_tokens instead of max_tokens"
    NO_STREAM_OPTIONS = "no stream_options"
    NO_STREAM = "no stream"
    STREAM_ONLY = "a stream"


_REFUSED = {
    "temperature": Quirk.NO_TEMPERATURE,
    "max_tokens": Quirk.COMPLETION_LIMIT,
    "stream_options": Quirk.NO_STREAM_OPTIONS,
    "stream": Quirk.NO_STREAM,
}
"""What is learned when a field of the request is refused."""


class Quirks:
    """What one server was found to want. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[Quirk] = frozenset()

    @property
    def known(self) -> frozenset[Quirk]:
        """All that was learned."""
        return self._known

    def learn(self, quirk: Quirk) -> None:
        """From now on."""
        with self._lock:
            self._known |= {quirk}


def quirk_in(refusal: Reported, payload: Mapping[str, object]) -> Quirk | None:
    """What a server wants that refused `payload`, or None where it refused something else."""
    if refusal.status not in _STATUSES:
        return None
    if "stream" not in payload and _STREAM_ONLY.search(refusal.message):
        return Quirk.STREAM_ONLY
    if "max_tokens" in payload and _USE_OTHER_LIMIT.search(refusal.message):
        return Quirk.COMPLETION_LIMIT
    refused = (name for name in _REFUSED if name in payload and _refuses(name, refusal))
    return next((_REFUSED[name] for name in refused), None)


def without_quirks(payload: Mapping[str, object], quirks: frozenset[Quirk]) -> dict[str, object]:
    """The payload as a server with these quirks accepts it (streaming is not decided here)."""
    wanted = dict(payload)
    if Quirk.NO_TEMPERATURE in quirks:
        wanted.pop("temperature", None)
    if Quirk.NO_STREAM_OPTIONS in quirks:
        wanted.pop("stream_options", None)
    if Quirk.COMPLETION_LIMIT in quirks and "max_tokens" in wanted:
        wanted["max_completion_tokens"] = wanted.pop("max_tokens")
    return wanted


def streams(quirks: frozenset[Quirk], *, asked: bool) -> bool:
    """Whether a reply is to come as a stream: as asked, unless the server cannot."""
    return (asked or Quirk.STREAM_ONLY in quirks) and Quirk.NO_STREAM not in quirks


def _refuses(field: str, refusal: Reported) -> bool:
    """Whether it is this field that is not wanted at all, rather than its value out of range."""
    if re.search(rf"\b{field}\b", refusal.param or refusal.message) is None:
        return False
    return refusal.code in _CODES or _UNWANTED.search(refusal.message) is not None
