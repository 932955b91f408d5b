"""The last look before Ready: a layer that is claimed and is not there is found out."""

from __future__ import annotations

import os

import pytest

from rlm_sandbox.confine.layers import Layer
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import os
from rlm_sandbox.confine import selftest
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import WorkerLimits
limits = WorkerLimits.of(Limits(open_files=16))
wall = Wall(frozenset({Layer(os.environ["LAYER"])}), uids=range(2**31 - 10, 2**31 - 1))
"""

EXAMINED = [
    *(Layer.MOUNT, Layer.NET, Layer.UTS, Layer.UID, Layer.RLIMITS),
    *(Layer.NO_NEW_PRIVS, Layer.NOT_DUMPABLE, Layer.LANDLOCK),
]


@pytest.mark.parametrize("layer", EXAMINED)
def test_an_ordinary_process_is_found_to_lack_it(layer: Layer) -> None:
    out = program.run(
        PRELUDE
        + """
try:
    selftest.examine_place(wall, limits.tmp_bytes)
    selftest.examine_session(wall, limits)
except selftest.NotContained as error:
    print(error)
""",
        LAYER=layer,
    )
    assert layer in out


def test_an_own_network_is_believed_where_landlock_refuses_to_connect_on_any() -> None:
    needs(Layer.NET)
    out = program.run(
        PRELUDE
        + """
import socket
from rlm_sandbox.confine import namespaces
def refused(*_):
    raise PermissionError(13, "Permission denied")
proc = os.open("/proc", os.O_PATH)
namespaces.enter_user(namespaces.NEWNET, proc)
socket.socket.connect = refused
selftest.examine_place(wall, limits.tmp_bytes)
print("believed")
""",
        LAYER=Layer.NET,
    )
    assert out == "believed\n"


@pytest.mark.parametrize("layer", [Layer.USER, Layer.CAPABILITIES])
def test_root_is_found_to_be_root(layer: Layer) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has nothing of what this layer takes away")
    test_an_ordinary_process_is_found_to_lack_it(layer)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer.SECCOMP, "seccomp does not hold"),
        (Layer.LANDLOCK, "the file system does not hold"),
        (Layer.PID, "not pid 1"),
    ],
)
def test_an_ordinary_process_does_not_pass_the_last_attempts(layer: Layer, said: str) -> None:
    out = program.run(
        PRELUDE
        + """
try:
    selftest.run(wall)
except selftest.NotContained as error:
    print(error)
""",
        LAYER=layer,
    )
    assert said in out


def test_a_library_that_cannot_be_read_is_found_out() -> None:
    out = program.run(
        PRELUDE
        + """
os.__file__ = "/nowhere/os.py"
try:
    selftest.run(Wall(frozenset()))
except selftest.NotContained as error:
    print(error)
""",
        LAYER=Layer.PID,
    )
    assert "the standard library at /nowhere/os.py cannot be read inside" in out


def test_layers_that_are_there_pass() -> None:
    needs(Layer.LANDLOCK)
    program.run(
        PRELUDE
        + """
from rlm_sandbox.confine import landlock, privileges, rlimits
privileges.no_new_privileges()
privileges.not_dumpable()
rlimits.apply(limits, own_user=False)
landlock.restrict([(os.path.dirname(os.__file__), landlock.READ)])
wall = Wall(frozenset({Layer.NO_NEW_PRIVS, Layer.NOT_DUMPABLE, Layer.RLIMITS, Layer.LANDLOCK}))
selftest.examine_place(wall, limits.tmp_bytes)
selftest.examine_session(wall, limits)
selftest.run(wall)
""",
        LAYER=Layer.PID,
    )
