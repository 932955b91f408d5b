"""Whether to try again and when, as arithmetic: time and chance come in, nothing sleeps here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

OVERLOADED = 529  # Anthropic's own: too much traffic from everyone
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504, OVERLOADED})


@dataclass(frozen=True)
class StatusFailure:
    """The server answered with an error status."""

    status: int
    retry_after: float | None = None
    """Seconds that the server asks to wait."""
    final: bool = False
    """True when the server says that waiting will not help (a used-up quota, say)."""


@dataclass(frozen=True)
class ConnectionFailure:
    """There was no connection, or it broke before the reply was complete."""


@dataclass(frozen=True)
class SilenceFailure:
    """The server said nothing for too long."""


Failure = StatusFailure | ConnectionFailure | SilenceFailure


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently one call is tried. Times are seconds.

    The wait before retry n is a random part of `base_delay * 2**n`, at most `max_delay` ("full
    jitter": callers that failed together do not come back together), and never less than the
    server's `Retry-After`. A wait that would not end before `deadline` is not begun.
    """

    retries: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0
    deadline: float = 600.0
    """For all attempts and waits of one call together."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, not {self.retries!r}")
        for name in ("base_delay", "max_delay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 seconds or more, not {getattr(self, name)!r}")
        if not self.deadline > 0:
            raise ValueError(f"deadline must be more than 0 seconds, not {self.deadline!r}")

    def delay(
        self, failure: Failure, *, attempt: int, elapsed: float, chance: float
    ) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        `attempt` counts from 0, `elapsed` is seconds since the call began, `chance` is a random
        number from 0 to 1.
        """
        if attempt >= self.retries or not is_retried(failure):
            return None
        wait = chance * min(self.max_delay, self.base_delay * 2.0 ** min(attempt, 60))
        if isinstance(failure, StatusFailure) and failure.retry_after is not None:
            wait = max(wait, failure.retry_after)
        return wait if elapsed + wait < self.deadline else None


def is_retried(failure: Failure) -> bool:
    """True for failures that may be gone a moment later."""
    if isinstance(failure, StatusFailure):
        return failure.status in RETRIED_STATUSES and not failure.final
    return True


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds in a `Retry-After` header: a number or an HTTP date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000" reads as a time without zone; HTTP dates are UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
