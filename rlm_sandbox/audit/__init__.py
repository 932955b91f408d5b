"""Proves that the wall holds on this host: a corpus of hostile programs, and what runs them.

    corpus/     the programs as data, a file a class
    program     what a program is
    prelude     what every program finds in its session
    stage       the canaries: files, listeners, a victim, secrets, and how to see them from outside
    seal        the kernel's account of a worker, taken from outside
    evidence    what is looked at while a program runs, and afterwards
    runner      one program in one real sandbox, and the judgement on it
    sweep       every system call number there is, against what the filter predicts
    findings    rows and their summary

Whatever hostile code prints is no proof that it was contained, so each program has a check from
outside. Network payloads aim only at listeners that the audit has opened on the
loopback interface, signals only at its own processes, writes only at its own temporary folder;
system calls that could change the host are made with arguments that are invalid anyway.
"""

from __future__ import annotations
