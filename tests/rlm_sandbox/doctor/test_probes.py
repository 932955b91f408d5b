"""Every layer's probe: it sees the layer hold, and sees when it was only said to be put on."""

from __future__ import annotations

import pytest

from rlm_sandbox.confine.layers import Layer
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs, report

LIES = {
    Layer.MOUNT: "mounts.enter_minimal_root = nothing",
    Layer.NET: "namespaces.enter = namespaces.enter_user = nothing",
    Layer.IPC: "namespaces.enter = namespaces.enter_user = nothing",
    Layer.UTS: "namespaces.enter = namespaces.enter_user = nothing",
    Layer.UID: "privileges.become = nothing",
    Layer.RLIMITS: "rlimits.apply = nothing",
    Layer.CAPABILITIES: "privileges.drop_capabilities = nothing",
    Layer.NO_NEW_PRIVS: "privileges.no_new_privileges = nothing",
    Layer.NOT_DUMPABLE: "privileges.not_dumpable = nothing",
    Layer.LANDLOCK: "landlock.restrict = nothing",
    Layer.SECCOMP: "seccomp.install = nothing",
    Layer.PID: "namespaces.fork_init = lambda child: os.fork() or child()",
    Layer.CGROUP: "cgroups.join = nothing",
}
"""By layer: what pretends to put it on, with every return code as it should be."""


@pytest.mark.parametrize("layer", list(Layer))
def test_a_layer_that_can_be_put_on_holds(layer: Layer) -> None:
    needs(layer)
    seen = report()[layer]
    assert seen.result in {"holds", "untold"}, seen.text
    assert seen.text


PROGRAM = """
import os, sys
from rlm_sandbox.confine import (
    cgroups, landlock, mounts, namespaces, privileges, rlimits, seccomp
)
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor.probes import CannotTell, NotHolding, Probes
from rlm_sandbox.doctor.stage import Stage
def nothing(*_, **__):
    pass
with Stage() as stage:
    for layer, lie in LIES.items():
        if (child := os.fork()) == 0:
            exec(lie)
            try:
                Probes(stage.targets).run(Layer(layer))
            except NotHolding as error:
                print(layer, "seen:", error, flush=True)
            except (OSError, CannotTell):
                pass  # this host refuses the layer, or shows nothing of it: no test looks
            os._exit(0)
        os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def seen() -> list[str]:
    """The layers whose probe did not believe the lie, with what it saw."""
    lies = {str(layer): lie for layer, lie in LIES.items()}
    return program.run(PROGRAM.replace("LIES", repr(lies))).splitlines()


@pytest.mark.parametrize("layer", LIES)
def test_a_layer_that_was_not_put_on_does_not_pass(layer: Layer, seen: list[str]) -> None:
    needs(layer)
    if report()[layer].result == "untold":
        pytest.skip(f"{layer} shows nothing on this host: {report()[layer].text}")
    assert [line for line in seen if line.startswith(f"{layer} seen: ")]
