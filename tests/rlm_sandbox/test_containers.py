"""The wall where it is built in practice: in containers, and on kernels that lack something."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from rlm_sandbox.confine import landlock
from rlm_sandbox.confine.layers import NAMESPACES, Layer
from tests.rlm_sandbox import container
from tests.rlm_sandbox.confine.hosts import needs
from tests.rlm_sandbox.container import ALL_CAPABILITIES, Place

START = """
import json
from rlm_sandbox import IsolationUnavailable, Sandbox
def tier(isolation):
    try:
        with Sandbox(isolation=isolation, imports="all") as box:
            result = box.exec("import os\\nprint(6 * 7, os.getuid())")
            assert result.error is None, result
            return {"tier": box.isolation, "layers": box.layers, "said": result.stdout.split()}
    except IsolationUnavailable as error:
        return {"tier": None, "layers": [], "error": str(error)}
print(json.dumps({isolation: tier(isolation) for isolation in WANTED}))
"""

ATTACK = """
import json
from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.doctor.trial import Trial
with Stage() as stage:
    attempts = Trial(stage, "auto").run()
print(json.dumps({attempt.act: attempt.contained for attempt in attempts}))
"""

KEPT_OUT_OF_DOCKER = {str(layer) for layer in NAMESPACES}


def found(place: Place, *wanted: str, python: str | None = None) -> dict[str, Any]:
    """By isolation (`auto` if none is named): tier, layers, what code said, or the error."""
    return json.loads(place.run(START.replace("WANTED", repr(wanted or ("auto",))), python=python))


def places() -> dict[str, Place]:
    """The container as root and as an ordinary user."""
    return {"root": Place(), "user": Place(uid=container.user())}


@pytest.fixture(params=["root", "user"])
def docker(request: pytest.FixtureRequest) -> Place:
    needs(Layer.LANDLOCK)
    return places()[request.param]


def test_an_ordinary_container_gives_standard_and_says_what_full_needs(docker: Place) -> None:
    tiers = found(docker, "auto", "standard", "full")
    assert tiers["auto"]["tier"] == tiers["standard"]["tier"] == "standard"
    assert tiers["auto"]["said"][0] == "42"
    assert Layer.LANDLOCK in tiers["auto"]["layers"]
    assert KEPT_OUT_OF_DOCKER.isdisjoint(tiers["auto"]["layers"])
    assert tiers["full"]["tier"] is None
    assert "unshare" in tiers["full"]["error"]
    assert "--security-opt seccomp=unconfined" in tiers["full"]["error"]


def test_what_is_told_to_break_out_of_a_container_stays_inside(docker: Place) -> None:
    attempts = json.loads(docker.run(ATTACK))
    assert len(attempts) == 7
    assert all(attempts.values()), attempts


def test_packages_work_in_a_container(docker: Place) -> None:
    out = docker.run("""
from rlm_sandbox import Sandbox
with Sandbox(packages=["msgspec"], imports="all") as box:
    result = box.exec("import msgspec, msgspec.yaml; msgspec.json.encode([1])")
    print(result.stdout, result.error)
""")
    assert out.startswith("b'[1]'")


def test_the_workers_of_a_containers_root_are_no_root() -> None:
    needs(Layer.UID, Layer.LANDLOCK)
    tiers = found(Place())
    assert Layer.UID in tiers["auto"]["layers"]
    assert int(tiers["auto"]["said"][1]) > 0


def test_a_root_without_any_capability_gets_standard_as_it_is() -> None:
    needs(Layer.LANDLOCK)
    tiers = found(Place(capabilities=()))
    assert tiers["auto"]["tier"] == "standard"
    assert Layer.UID not in tiers["auto"]["layers"]


def test_a_root_that_may_not_kill_does_not_make_its_workers_another_user() -> None:
    needs(Layer.LANDLOCK)
    tiers = found(Place(capabilities=(6, 7)))  # SETGID, SETUID
    assert Layer.UID not in tiers["auto"]["layers"]


def test_without_its_filter_a_container_gives_full_to_root_too() -> None:
    needs(*NAMESPACES, Layer.UID)
    tiers = found(Place(confined=False))
    assert tiers["auto"]["tier"] == "full"
    assert int(tiers["auto"]["said"][1]) > 0


def test_a_library_that_the_workers_user_cannot_read_is_refused_with_the_reason() -> None:
    needs(Layer.UID, Layer.LANDLOCK)
    if container._open_to_all(os.__file__):
        pytest.skip("every user can read this Python's library")
    tiers = found(Place(), python=sys.executable)
    assert tiers["auto"]["tier"] is None
    assert f"the standard library at {os.__file__} cannot be read" in tiers["auto"]["error"]
    assert "install Python where every user can read it" in tiers["auto"]["error"]


def test_a_zygote_that_dies_is_not_replaced_by_a_weaker_one() -> None:
    needs(*NAMESPACES, Layer.LANDLOCK)
    out = Place(container.user(), confined=False).run("""
import signal
from rlm_sandbox import IsolationUnavailable, Sandbox
from rlm_sandbox.host.nursery import NURSERY
with Sandbox() as box:
    print(box.isolation)
    os.kill(*NURSERY.pids(), signal.SIGKILL)
    # from here on the host is a container, which would give `standard`
    confined = [Rule(number, EPERM) for number in NAMESPACES]
    seccomp.install(
        bpf.pack(bpf.assemble(arch, confined, default=ALLOW, foreign=bpf.KILL_PROCESS))
    )
try:
    print(Sandbox().isolation)
except IsolationUnavailable as error:
    print(error)
""")
    first, second = out.splitlines()
    assert first == "full"
    assert "unshare" in second


# --- kernels that lack something ----------------------------------------------------------------


@pytest.mark.parametrize("uid", [0, container.user()])
def test_namespaces_without_landlock_are_full(uid: int) -> None:
    needs(*NAMESPACES)
    place = Place(uid, confined=False, capabilities=ALL_CAPABILITIES, hidden=container.LANDLOCK)
    tiers = found(place, "auto", "standard")
    assert tiers["auto"]["tier"] == "full"
    assert tiers["standard"]["tier"] == "standard"
    assert Layer.LANDLOCK not in tiers["auto"]["layers"]
    assert all(json.loads(place.run(ATTACK)).values())


def test_neither_namespaces_nor_landlock_is_refused_with_both_remedies() -> None:
    tiers = found(Place(container.user(), hidden=container.LANDLOCK), "auto", "standard")
    for isolation in ("auto", "standard"):
        assert tiers[isolation]["tier"] is None
        assert "landlock: this kernel has none" in tiers[isolation]["error"]
        assert "user.max_user_namespaces" in tiers[isolation]["error"]
        assert "lsm=" in tiers[isolation]["error"]


def test_what_is_not_to_be_had_can_be_waived_by_name_only() -> None:
    out = Place(container.user(), hidden=container.LANDLOCK).run(
        """
from rlm_sandbox import Sandbox
with Sandbox(isolation="none") as box:
    print(box.isolation, *box.layers, box.exec("6 * 7").stdout)
"""
    )
    assert out.split() == ["none", "rlimits", "42"]


def test_without_a_listener_forks_are_refused_and_the_rest_works() -> None:
    needs(Layer.LANDLOCK)
    out = Place(container.user(), listener=False).run(
        """
from rlm_sandbox import Sandbox
with Sandbox(imports="all") as box:
    print(box.isolation, "gate" in box.layers)
    print(box.exec("import os\\nos.fork()").error)
    print(box.exec("os.kill(os.getppid(), 0)").error)
    print(box.exec("import threading; threading.Thread(target=os.getpid).start()").outcome)
    print(box.exec("os.kill(os.getpid(), 9)").outcome, box.exec("6 * 7").stdout)
"""
    )
    assert out.split("\n")[0] == "standard False"
    assert out.count("PermissionError: [Errno 1] Operation not permitted") == 2
    assert out.split()[-3:] == ["ok", "crashed", "42"]


def test_a_kernel_without_mount_setattr_gives_standard_and_says_so() -> None:
    needs(Layer.LANDLOCK, *NAMESPACES)
    place = Place(container.user(), confined=False, hidden=container.MOUNT_SETATTR)
    tiers = found(place, "auto", "full")
    assert tiers["auto"]["tier"] == "standard"
    assert "mount_setattr" in tiers["full"]["error"]
    assert "Linux 5.12 or newer" in tiers["full"]["error"]


def test_a_kernel_without_process_descriptors_is_refused_by_name() -> None:
    tiers = found(Place(container.user(), hidden=container.PIDFD_OPEN))
    assert tiers["auto"]["tier"] is None
    assert "pidfd_open" in tiers["auto"]["error"]


def test_the_doctor_tells_where_it_is() -> None:
    needs(Layer.LANDLOCK)
    out = Place(container.user()).run(
        """
import sys
from rlm_core.cli import main
assert main(["doctor", "--json"]) == 0
"""
    )
    told = json.loads(out)
    layers = {layer["layer"]: layer for layer in told["layers"]}
    assert told["tier"] == "standard"
    assert not layers["net"]["available"]
    assert "unshare" in layers["net"]["detail"]
    assert layers["seccomp"]["proven"]
    assert layers["landlock"]["detail"].startswith(f"ABI {landlock.abi()}")


def test_the_doctor_ends_with_six_where_nothing_can_be_enforced() -> None:
    out = Place(container.user(), hidden=container.LANDLOCK).run(
        """
from rlm_core.cli import main
assert main(["doctor", "--json"]) == 6
"""
    )
    told = json.loads(out)
    assert told["tier"] == "none"
    assert told["not_promised"] == ["anything: no code can be isolated here, and none is run"]
