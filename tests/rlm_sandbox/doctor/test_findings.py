"""When an examination is sound, and what of it goes into JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rlm_sandbox.doctor.findings import Attempt, Examination, Finding, Proof

NET = Finding("net", available=True, proof=Proof.HOLDS, detail="no network", in_use=True)
READ = Attempt("read a file", contained=True, detail="ENOENT")
SOUND = Examination("standard", "", (NET,), (READ,), (), ("side channels",), 0.01)


def test_standard_or_better_with_nothing_out_is_sound() -> None:
    assert SOUND.sound
    assert replace(SOUND, tier="full").sound


@pytest.mark.parametrize(
    "found",
    [
        replace(SOUND, tier="none"),
        replace(SOUND, attempts=(replace(READ, contained=False),)),
        replace(SOUND, layers=(replace(NET, proof=Proof.BROKEN),)),
    ],
)
def test_a_missing_tier_an_escape_or_a_broken_layer_is_not_sound(found: Examination) -> None:
    assert not found.sound


def test_a_layer_that_is_not_used_may_be_unprovable() -> None:
    assert replace(SOUND, layers=(replace(NET, proof=Proof.BROKEN, in_use=False),)).sound
    assert not replace(NET, proof=Proof.UNTOLD).proven


def test_json_has_the_tier_and_the_layers() -> None:
    told = json.loads(json.dumps(SOUND.to_dict()))
    assert told["version"] == 1
    assert told["tier"] == "standard"
    assert told["sound"] is True
    assert told["layers"][0]["layer"] == "net"
    assert told["layers"][0]["proven"] is True
