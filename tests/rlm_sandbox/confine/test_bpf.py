"""The assembler against a plain reading of its rules, run by the stand-in for the kernel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox.confine import bpf
from rlm_sandbox.confine.bpf import ALLOW, KILL_PROCESS, Argument, Rule, errno_action

ARCH = 0xC000003E
OTHER_ARCH = 0x40000003
DEFAULT = errno_action(1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)

arguments = st.builds(
    Argument,
    index=st.integers(0, 5),
    values=st.lists(st.integers(0, 7) | U32, min_size=1, max_size=4).map(tuple),
    mask=st.sampled_from([0xFFFFFFFF, 0xFF, 0x7, 0x80000000]),
    whole=st.booleans(),
)
rules = st.lists(
    st.builds(
        Rule,
        number=st.integers(0, 12),
        action=st.sampled_from([ALLOW, errno_action(2)]),
        conditions=st.lists(arguments, max_size=3).map(tuple),
        otherwise=st.sampled_from([errno_action(13), errno_action(38)]),
    ),
    unique_by=lambda rule: rule.number,
    max_size=8,
)


def meant(rules: list[Rule], number: int, args: list[int]) -> int:
    """What the rules say, read one by one."""
    for rule in rules:
        if rule.number == number:
            holds = all(
                (args[wanted.index] & 0xFFFFFFFF & wanted.mask) in wanted.values
                and not (wanted.whole and args[wanted.index] >> 32)
                for wanted in rule.conditions
            )
            return rule.action if holds else rule.otherwise
    return DEFAULT


@given(rules, st.integers(0, 13), st.lists(st.integers(0, 7) | U64, min_size=6, max_size=6))
def test_a_filter_does_what_its_rules_say(rules: list[Rule], number: int, args: list[int]) -> None:
    program = bpf.assemble(ARCH, rules, default=DEFAULT, foreign=KILL_PROCESS)
    assert bpf.run(program, number, ARCH, args) == meant(rules, number, args)


@given(rules, U32, U32.filter(lambda arch: arch != ARCH))
def test_no_call_of_another_architecture_is_looked_at(
    rules: list[Rule], number: int, arch: int
) -> None:
    program = bpf.assemble(ARCH, rules, default=DEFAULT, foreign=KILL_PROCESS)
    assert bpf.run(program, number, arch) == KILL_PROCESS


@given(st.integers(472, 2**32 - 1))
def test_numbers_beyond_the_table_have_an_answer_of_their_own(number: int) -> None:
    beyond = ((472, errno_action(38)),)
    program = bpf.assemble(ARCH, [], default=DEFAULT, foreign=KILL_PROCESS, beyond=beyond)
    assert bpf.run(program, number, ARCH) == errno_action(38)
    assert bpf.run(program, 471, ARCH) == DEFAULT


def test_the_upper_half_counts_only_where_the_kernel_reads_it() -> None:
    narrow = Rule(1, ALLOW, (Argument(0, (5,)),), otherwise=DEFAULT)
    whole = Rule(2, ALLOW, (Argument(0, (5,), whole=True),), otherwise=DEFAULT)
    program = bpf.assemble(ARCH, [narrow, whole], default=DEFAULT, foreign=KILL_PROCESS)
    assert bpf.run(program, 1, ARCH, [5 | 1 << 32]) == ALLOW
    assert bpf.run(program, 2, ARCH, [5 | 1 << 32]) == DEFAULT
    assert bpf.run(program, 2, ARCH, [5]) == ALLOW


def test_a_rule_that_no_jump_can_reach_over_is_refused() -> None:
    long = Rule(1, ALLOW, (Argument(0, tuple(range(300))),))
    with pytest.raises(ValueError, match="call 1 is too long"):
        bpf.assemble(ARCH, [long], default=DEFAULT, foreign=KILL_PROCESS)


def test_a_filter_longer_than_the_kernel_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="4096"):
        bpf.assemble(
            ARCH, [Rule(n, ALLOW) for n in range(2048)], default=DEFAULT, foreign=KILL_PROCESS
        )


def test_an_instruction_takes_eight_bytes() -> None:
    program = bpf.assemble(ARCH, [Rule(1, ALLOW)], default=DEFAULT, foreign=KILL_PROCESS)
    assert len(bpf.pack(program)) == 8 * len(program)
    assert bpf.pack(program)[:8] == bytes.fromhex("2000000004000000")  # load the architecture
