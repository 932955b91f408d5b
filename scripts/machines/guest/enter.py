"""Become the user of a machine in the control group given, then start a program: see run.sh."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ORDINARY = 1000


def main(user: str, place: str, named: str, *command: str) -> None:
    if place != os.devnull:
        Path(place).write_text("0")
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/root"}
    if named:
        environment["RLM_SANDBOX_CGROUP"] = named
    if user == "user":
        environment["HOME"] = "/home/user"
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    os.execvpe(command[0], list(command), environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
