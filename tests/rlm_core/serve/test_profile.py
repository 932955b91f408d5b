from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.chat_request import ChatSettings
from rlm_core.errors import ConfigError
from rlm_core.policy import Price
from rlm_core.serve.profile import PriceOf, Profile, Profiles

FILE = """
default = "deep"

[profiles.fast]
model = "small"
aliases = ["gpt-4o"]
max_steps = 5

[profiles.deep]
model = "large"
sub_model = "small"
recursive = true
max_cost = 0.5
prices."*" = { prompt = 0.25, completion = 2.0 }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "serve.toml"
    path.write_text(text)
    return path


def test_profiles_are_read_the_default_one_first(tmp_path: Path) -> None:
    profiles = Profiles.read(written(tmp_path, FILE))
    assert profiles.names() == ["deep", "fast", "gpt-4o"]
    assert profiles.find("gpt-4o") == ("fast", profiles.by_name["fast"])
    assert profiles.find("large") is None
    policy = profiles.by_name["deep"].policy()
    assert policy.price_of("small") == Price(0.25, 2.0)
    assert (policy.max_cost, policy.max_recursion_depth) == (0.5, 2)


def test_a_request_lowers_limits_and_never_raises_them() -> None:
    prices = {"m": PriceOf(1.0, 1.0)}
    profile = Profile(model="m", max_steps=10, max_cost=1.0, prices=prices)
    low = profile.policy_for(ChatSettings(max_steps=3, max_seconds=5.0))
    assert (low.max_steps, low.max_seconds, low.max_cost) == (3, 5.0, 1.0)
    high = profile.policy_for(ChatSettings(max_steps=300, max_cost=50.0))
    assert (high.max_steps, high.max_cost) == (10, 1.0)


def test_a_model_that_calls_itself_otherwise_is_not_free() -> None:
    prices = {"small": PriceOf(1.0, 3.0), "large": PriceOf(2.0, 2.0)}
    policy = Profile(model="large", sub_model="small", prices=prices).policy()
    assert policy.price_of("small") == Price(1.0, 3.0)
    assert policy.price_of("large-2026-05-01") == Price(2.0, 3.0)
    assert Profile(model="m").policy().price_of("m") == Price(0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[profiles.a]\nmodel = 5", r"Expected `str`, got `int` - at `\$\.profiles\[\.\.\.\]"),
        ("[profiles.a]\nmodel = 'm'\nmax_stepz = 5", "unknown field `max_stepz`"),
        ("[profiles.a]\nmodel = 'm'\nmax_steps = 0", "max_steps"),
        ("default = 'b'\n[profiles.a]\nmodel = 'm'", "'b' is none of the profiles: a"),
        ("[profiles.a]\nmodel = 'm'\naliases = ['a']", "a: a name that two profiles have"),
        ("[profiles.a]\nmodel = 'm'\nmax_cost = 1.0", "max_cost needs prices"),
        ("profiles = {}", "profiles"),
        ("[profiles.a", "serve.toml"),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_place(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        Profiles.read(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml"):
        Profiles.read(tmp_path / "none.toml")
