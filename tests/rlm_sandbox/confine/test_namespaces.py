"""What a process sees of the system from namespaces of its own."""

from __future__ import annotations

import os

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor.stage import Stage
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import ctypes, errno, os, socket
from rlm_sandbox.confine import libc, namespaces, privileges, seccomp
proc = os.open("/proc", os.O_PATH)
def enter(flags):
    if privileges.holds(privileges.CAP_SYS_ADMIN):
        namespaces.enter(flags)
    else:
        namespaces.enter_user(flags, proc)
def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def test_the_init_is_the_first_process_of_its_namespace_and_the_parent_stays_outside() -> None:
    needs(Layer.PID)
    program.run(
        PRELUDE
        + """
if not privileges.holds(privileges.CAP_SYS_ADMIN):
    namespaces.enter_user(0, proc)
def be_first():
    os._exit(0 if os.getpid() == 1 and os.getppid() == 0 else 1)
assert status_of(namespaces.fork_init(be_first)) == 0
assert status_of(namespaces.fork_init(be_first)) == 0  # each has a namespace of its own
child = os.fork()
if child == 0:
    os._exit(0 if os.getpid() != 1 else 1)
assert status_of(child) == 0
"""
    )


def test_the_end_of_the_init_is_the_end_of_all() -> None:
    needs(Layer.PID)
    out = program.run(
        PRELUDE
        + """
if not privileges.holds(privileges.CAP_SYS_ADMIN):
    namespaces.enter_user(0, proc)
reading, writing = os.pipe()
def leave_a_survivor():
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, b"alive")
            while True:
                os.read(os.pipe()[0], 1)
        os._exit(0)
    os.waitpid(child, 0)
    os.read(reading, 5)
    os._exit(0)
assert status_of(namespaces.fork_init(leave_a_survivor)) == 0
os.close(writing)
print(os.read(reading, 1))  # the end: nobody holds the other side any more
"""
    )
    assert out == "b''\n"


def test_the_hosts_names_are_hidden() -> None:
    needs(Layer.UTS)
    out = program.run(
        PRELUDE
        + """
before = os.uname().nodename
enter(namespaces.NEWUTS)
fields = ctypes.create_string_buffer(65 * 6)
ctypes.CDLL(None).uname(fields)
print(os.uname().nodename, fields.raw[65 * 5:].rstrip(bytes(1)).decode())
"""
    )
    assert out == "sandbox sandbox\n"
    assert os.uname().nodename != "sandbox"


def test_there_is_no_network_not_even_loopback() -> None:
    needs(Layer.NET)
    with Stage() as stage:
        program.run(
            PRELUDE
            + """
enter(namespaces.NEWNET)
for address in (("127.0.0.1", int(os.environ["PORT"])), ("192.0.2.1", 9)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as client:
            assert client.connect_ex(address) == errno.ENETUNREACH
assert [name for _, name in socket.if_nameindex()] == ["lo"]
""",
            PORT=str(stage.targets.port),
        )
        assert stage.visitors() == []


def test_a_user_keeps_its_id_and_is_nobody_outside() -> None:
    needs(Layer.USER)
    program.run(
        PRELUDE
        + """
before = os.geteuid()
namespaces.enter_user(0, proc)
assert os.geteuid() == (before or namespaces.ORDINARY_ID)
assert os.getresuid() == (os.geteuid(),) * 3
assert open("/proc/self/setgroups").read() == "deny\\n"
try:
    other = before + 1  # an id that this namespace does not map
    os.setresuid(other, other, other)
except OSError as error:
    assert error.errno == errno.EINVAL
else:
    raise AssertionError("it became another user")
"""
    )


def test_to_enter_nothing_asks_for_nothing() -> None:
    program.run(
        PRELUDE
        + """
libc.unshare = None  # a container's filter would refuse even a call without flags
namespaces.enter(0)
"""
    )
