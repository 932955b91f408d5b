"""`rlm doctor`: what this host can enforce, proven by attempting what is forbidden.

Nothing is believed because a call returned zero. Each layer is put on alone, in a process that ends
afterwards, and what it forbids is tried before and after. Then a real worker is told to break out.
"""

from __future__ import annotations

from rlm_sandbox.confine import cgroups, tiers
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor import facts, prober, promises, trial
from rlm_sandbox.doctor.findings import Attempt, Examination, Fact, Finding, Proof
from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.errors import IsolationUnavailable, StartFailed
from rlm_sandbox.host.groups import GROUPS
from rlm_sandbox.host.zygote import import_paths
from rlm_sandbox.sandbox import Sandbox

__all__ = ["Attempt", "Examination", "Fact", "Finding", "Proof", "examine"]

NO_TIER = "none"

_PROOFS = {
    "holds": Proof.HOLDS,
    "broken": Proof.BROKEN,
    "untold": Proof.UNTOLD,
    "refused": Proof.UNTOLD,
}


def examine() -> Examination:
    """Examine this host: which layers hold, and what hostile code in a worker can do.

    Takes about a second. Starts processes, listens on 127.0.0.1, makes a temporary folder; nothing
    of it is left.
    """
    unsupported = tiers.unsupported("auto")
    if unsupported is not None:
        return Examination(NO_TIER, unsupported, (), (), (), tuple(promises.not_promised(())), None)
    GROUPS.bases()  # first: a controller that is alone in its folder makes room, for the prober too
    with Stage() as stage:
        seen = prober.probe(import_paths(), stage.targets)
        tier, reason, in_use = _tier()
        attempts = trial.Trial(stage, "auto").run() if in_use else []
    return Examination(
        tier=tier,
        reason=reason,
        layers=tuple(_finding(layer, seen[layer], in_use) for layer in Layer),
        attempts=tuple(attempts),
        facts=tuple(facts.gather()),
        not_promised=tuple(promises.not_promised(in_use)),
        start_seconds=trial.start_seconds("auto") if in_use else None,
    )


def _tier() -> tuple[str, str, frozenset[str]]:
    """The tier that workers get, why not a stronger one, and their layers."""
    try:
        with Sandbox() as box:
            tier, layers = box.isolation, frozenset(box.layers)
    except (IsolationUnavailable, StartFailed) as error:
        return NO_TIER, str(error), frozenset()
    return tier, "" if tier == "full" else _why_not_full(), layers


def _why_not_full() -> str:
    try:
        Sandbox(isolation="full").close()
    except (IsolationUnavailable, StartFailed) as error:
        return str(error)
    return ""


def _finding(layer: Layer, seen: prober.Seen, in_use: frozenset[str]) -> Finding:
    refused = seen.result == "refused"
    return Finding(
        layer=layer.value,
        available=not refused,
        proof=_PROOFS[seen.result],
        detail=seen.text,
        remedy=_remedy(layer, seen) if refused else "",
        in_use=layer in in_use,
    )


def _remedy(layer: Layer, seen: prober.Seen) -> str:
    match layer:
        case Layer.UID:
            return "none is needed for an ordinary user; a container's root needs SETUID and KILL"
        case Layer.GATE:
            return "only one filter of a process may have a listener, and the container has it"
        case Layer.CGROUP:
            return (
                "`systemd-run --user --scope -p Delegate=yes` before this program, a container "
                f"with a writable cgroup, or {cgroups.VARIABLE} with an empty folder that is "
                "yours, below one that is yours as well and in which this program is"
            )
        case _:
            return tiers.remedy(seen.text)
