"""The trusted end of the gate, with a process that asks at the other."""

from __future__ import annotations

from rlm_sandbox.confine.layers import Layer
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import errno, os, signal, socket
from rlm_sandbox.confine import bpf, notify, privileges, seccomp, syscalls
def behind_the_gate(act):
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        privileges.no_new_privileges()
        listener = seccomp.install_with_listener(bpf.pack(seccomp.gate(os.uname().machine)))
        socket.send_fds(theirs, [b"."], [listener])
        os.close(listener)
        os._exit(act())
    return child, socket.recv_fds(ours, 1, 1)[1][0]
def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def fork():
    try:
        child = os.fork()
    except OSError as error:
        return error.errno
    if child == 0:
        os._exit(0)
    return 100 + status_of(child)
"""


def test_a_fork_fails_with_the_errno_of_the_refusal() -> None:
    needs(Layer.GATE)
    program.run(
        PRELUDE
        + """
child, listener = behind_the_gate(fork)
question = notify.receive(listener)
assert question.thread == child
assert question.number in {syscalls.number(name, os.uname().machine) for name in ("clone", "fork")}
notify.refuse(listener, question, errno.EAGAIN)
assert status_of(child) == errno.EAGAIN
"""
    )


def test_a_fork_that_is_let_through_happens() -> None:
    needs(Layer.GATE)
    program.run(
        PRELUDE
        + """
child, listener = behind_the_gate(fork)
notify.let_through(listener, notify.receive(listener))
assert status_of(child) == 100
"""
    )


def test_a_question_shows_the_registers_and_a_dead_caller_is_no_trouble() -> None:
    needs(Layer.GATE)
    program.run(
        PRELUDE
        + """
child, listener = behind_the_gate(lambda: os.kill(os.getppid(), 0))
question = notify.receive(listener)
assert question.arguments[:2] == (os.getpid(), 0), question
os.kill(child, signal.SIGKILL)
assert status_of(child) == -9
notify.let_through(listener, question)
notify.refuse(listener, question, errno.EPERM)
"""
    )


def test_a_descriptor_can_be_the_answer() -> None:
    needs(Layer.GATE)
    program.run(
        PRELUDE
        + """
from rlm_sandbox.confine import libc
number = syscalls.number(seccomp.RENDEZVOUS, os.uname().machine)
def meet():
    given = libc.syscall(number, name="rendezvous")
    os.write(given, b"through the wall")
    return 0
child, listener = behind_the_gate(meet)
reading, writing = os.pipe()
assert notify.give_descriptor(listener, notify.receive(listener), writing)
assert status_of(child) == 0
assert os.read(reading, 100) == b"through the wall"
"""
    )


def test_without_anybody_at_the_listener_a_fork_fails() -> None:
    needs(Layer.GATE)
    program.run(
        PRELUDE
        + """
child, listener = behind_the_gate(fork)
os.close(listener)
assert status_of(child) == errno.ENOSYS
"""
    )
