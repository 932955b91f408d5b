"""What a process gives up, looked at from outside in a process of its own."""

from __future__ import annotations

from tests.rlm_sandbox import program


def test_what_is_given_up_is_gone() -> None:
    out = program.run("""
        from pathlib import Path
        from rlm_sandbox.confine import privileges
        privileges.no_new_privileges()
        status = Path("/proc/self/status").read_text()
        print("NoNewPrivs:\\t1" in status)
        privileges.not_dumpable()
        from rlm_sandbox.confine import libc
        print(libc.prctl(3))
    """)
    assert out == "True\n0\n"


def test_a_child_dies_with_its_parent() -> None:
    out = program.run("""
        import os, select
        from rlm_sandbox.confine import privileges
        privileges.adopt_orphans()
        alive, held = os.pipe()
        parent = os.fork()
        if parent == 0:
            if os.fork() == 0:
                privileges.die_with_parent()
                os.write(held, b"armed")
                while True:
                    select.select([], [], [])
            os.read(alive, 5)
            os._exit(0)
        os.close(held)
        os.waitpid(parent, 0)
        orphan, status = os.wait()  # ours now: orphans were adopted
        print(os.waitstatus_to_exitcode(status), os.read(alive, 1))
    """)
    assert out == "-9 b''\n"
