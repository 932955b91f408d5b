from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rlm_core.errors import ConfigError
from rlm_core.serve.keys import ANYONE, Keys

ALICE, BOB = "alice-alice-alice-alice", "bob-bob-bob-bob-bob"
FILE = f"""
[keys.alice]
key = "{ALICE}"
concurrency = 2
tokens = 1000
models = ["fast"]

[keys.bob]
sha256 = "{hashlib.sha256(BOB.encode()).hexdigest()}"
"""


def written(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_client_is_known_by_its_key_or_by_the_digest_of_it(tmp_path: Path) -> None:
    keys = Keys.read(written(tmp_path, FILE))
    alice, bob = keys.client(f"Bearer {ALICE}"), keys.client(f"bearer  {BOB} ")
    assert alice is not None
    assert bob is not None
    assert (alice.name, alice.allowance.concurrency, alice.allowance.models) == (
        "alice",
        2,
        ("fast",),
    )
    assert (bob.name, bob.allowance.tokens) == ("bob", None)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", ALICE, f"Basic {ALICE}", "Bearer \udcff\xe9"],
)
def test_whoever_has_no_key_is_nobody(tmp_path: Path, header: str | None) -> None:
    assert Keys.read(written(tmp_path, FILE)).client(header) is None


def test_keys_are_not_kept(tmp_path: Path) -> None:
    assert ALICE not in repr(vars(Keys.read(written(tmp_path, FILE))).keys())
    assert ALICE.encode() not in Keys.read(written(tmp_path, FILE)).by_digest


def test_keys_of_the_environment_have_no_limits() -> None:
    keys = Keys.of_environment({"RLM_SERVE_KEYS": f" {ALICE} ,{BOB},"})
    bob = keys.client(f"Bearer {BOB}")
    assert bob is not None
    assert (bob.name, bob.allowance.concurrency) == ("key-2", None)


def test_without_any_keys_anyone_may_ask() -> None:
    anyone = Keys.of_environment({}).client(None)
    assert anyone is not None
    assert anyone.name == ANYONE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[keys.a]\nkey = "short"', "key 'a' is too short: 16 characters"),
        ("[keys.a]\ntokens = 5", "give either key or sha256"),
        ('[keys.a]\nsha256 = "12"', "sha256"),
        (f'[keys.a]\nkey = "{ALICE}"\n[keys.b]\nkey = "{ALICE}"', "same as that of 'a'"),
        (f'[keys.a]\nkey = "{ALICE}"\nlimit = 5', "unknown field `limit`"),
        ("keys = {}", "keys"),
    ],
)
def test_a_file_that_cannot_work_is_refused_without_saying_a_key(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Keys.read(written(tmp_path, text))
    assert ALICE not in str(caught.value)


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        Keys.read(written(tmp_path, FILE, mode=0o644))
    only_digests = FILE[FILE.index("[keys.bob]") :]
    assert Keys.read(written(tmp_path, only_digests, mode=0o644)).by_digest
