"""What an examination of this host has found, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

JSON_VERSION = 1


class Proof(StrEnum):
    """What came of the attempt to do what a layer forbids."""

    HOLDS = "holds"  # it succeeded without the layer and failed with it
    UNTOLD = "untold"  # it fails here without the layer too, or the layer is not there
    BROKEN = "broken"  # the layer could be put on, and the attempt still succeeded


@dataclass(frozen=True)
class Finding:
    """One layer of the wall on this host."""

    layer: str
    available: bool
    """The kernel let a process put it on, alone."""
    proof: Proof
    detail: str
    """What was attempted and seen, or why the layer cannot be put on."""
    remedy: str = ""
    in_use: bool = False
    """Workers are under it."""

    @property
    def proven(self) -> bool:
        return self.proof is Proof.HOLDS


@dataclass(frozen=True)
class Attempt:
    """One forbidden act, tried by code in a real worker and judged from outside."""

    act: str
    contained: bool
    detail: str


@dataclass(frozen=True)
class Fact:
    """Something about this host that bears on isolation. `advice` is empty where all is well."""

    name: str
    value: str
    advice: str = ""


@dataclass(frozen=True)
class Examination:
    """All that was found. `tier` is what workers get here: "full", "standard", or "none"."""

    tier: str
    reason: str
    """Why there is no tier, or why it is not a stronger one; empty if it is "full"."""
    layers: tuple[Finding, ...]
    attempts: tuple[Attempt, ...]
    facts: tuple[Fact, ...]
    not_promised: tuple[str, ...]
    start_seconds: float | None
    """Median time from `Sandbox()` to the first result; None without a tier."""

    @property
    def sound(self) -> bool:
        """At least `standard`, nothing got out, and no layer in use is known not to hold."""
        return (
            self.tier in {"full", "standard"}
            and all(attempt.contained for attempt in self.attempts)
            and not any(layer.in_use and layer.proof is Proof.BROKEN for layer in self.layers)
        )

    def to_dict(self) -> dict[str, object]:
        """For JSON: the fields as they are, `proven` for each layer, and `sound`."""
        layers = [asdict(layer) | {"proven": layer.proven} for layer in self.layers]
        return {"version": JSON_VERSION, "sound": self.sound} | asdict(self) | {"layers": layers}
