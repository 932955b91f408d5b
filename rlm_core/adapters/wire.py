"""What a provider's language must offer, and what one call of it is to the transport. Pure.

A `WireFormat` says what is sent to a provider and how its replies are read, and does not know that
there is a network. An `Exchange` is one call as the transport sees it: bytes out, JSON in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.base import Usage
    from rlm_core.adapters.event_stream import ServerEvent
    from rlm_core.adapters.reported import Reported

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Reading:
    """What was found in one reply of a server; None where it says nothing."""

    text: str
    usage: Usage | None = None
    model: str | None = None
    meta: dict[str, object] = field(default_factory=dict)


class Assembler(Protocol):
    """Puts the events of one stream together to the object that comes when nothing is streamed."""

    @property
    def complete(self) -> bool:
        """Whether the reply has been said to its end, though more may follow (such as usage)."""
        ...

    def feed(self, event: ServerEvent) -> bool:
        """Take an event; True when it was the last. Raises ReportedError, ValueError, TypeError."""
        ...

    def reply(self) -> dict[str, object]:
        """What has come, as one object."""
        ...


class WireFormat(Protocol):
    """One provider's language. Reading raises TypeError or its like for objects of another shape,
    and ReportedError for an error where a reply should be."""

    def payload(
        self,
        messages: list[dict[str, str]],
        max_tokens: int,
        temperature: float | None,
        model: str | None,
    ) -> dict[str, object]:
        """The JSON object to send; temperature and model are left out when None."""
        ...

    def streamed(self, payload: Mapping[str, object]) -> dict[str, object]:
        """The same request for a reply in a stream."""
        ...

    def assembler(self) -> Assembler:
        """For one stream."""
        ...

    def read(self, data: dict[str, object]) -> Reading:
        """What a reply says."""
        ...


class Exchange(Protocol[T_co]):
    """One call as the transport sees it."""

    def body(self) -> bytes:
        """The request, as it is to be sent now."""
        ...

    def adapt(self, refusal: Reported) -> bool:
        """Whether another request may be accepted where this one was refused."""
        ...

    def assembler(self) -> Assembler:
        """For a reply that comes as a stream."""
        ...

    def read(self, data: object) -> T_co:
        """What the reply means. Raises as `WireFormat.read`."""
        ...
