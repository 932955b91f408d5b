from __future__ import annotations

import pytest

from rlm_core.config import Options, SandboxOptions, SubcallOptions, configure
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy
from rlm_sandbox import SandboxPool
from tests.rlm_core.helped import is_helped


def test_the_defaults_are_those_that_programs_rely_on() -> None:
    config = configure(Options())
    rules, subcalls = config.rules, config.subcalls
    assert (rules.max_tokens, rules.max_steps, rules.min_steps) == (512, 40, 0)
    assert (subcalls.max_tokens, subcalls.max_concurrent) == (256, 10)
    assert (subcalls.recursive_max_steps, subcalls.max_depth) == (3, 2)
    assert rules.conversation_history
    assert rules.auto_finalize is None
    assert not subcalls.recursive
    assert (config.sandbox.isolation, config.sandbox.imports) == ("auto", "safe")


def test_every_option_reaches_its_group() -> None:
    config = configure(
        Options(
            policy=Policy(max_steps=7),
            auto_finalize_var="key",
            auto_finalize_reject_patterns=["a"],
            auto_finalize_min_length=3,
            system_prompt="base",
            system_prompt_supplement="+more",
            parallel_subcalls=True,
            imports="all",
            isolation="none",
            log_truncate_code=5,
            loop_collapse_limit=9,
        )
    )
    assert config.rules.max_steps == 7
    assert config.rules.system_prompt == "base+more"
    assert config.rules.collapse_limit == 9
    assert config.rules.auto_finalize is not None
    assert config.rules.auto_finalize.variable == "key"
    assert config.rules.auto_finalize.reject_patterns == ("a",)
    assert config.subcalls.parallel
    assert config.sandbox.imports == "all"
    assert config.trace.code_chars == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_concurrent_subcalls": 0}, "at least 1"),
    ],
)
def test_what_cannot_work_is_refused(options: Options, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configure(options)


def test_recursion_goes_as_deep_as_either_limit_allows_and_not_at_all_unasked() -> None:
    assert SubcallOptions().deepest(Policy(max_recursion_depth=3)) == 3
    assert SubcallOptions(recursive=True).deepest(Policy()) == 2
    assert SubcallOptions(recursive=True).deepest(Policy(max_recursion_depth=4)) == 4


def test_the_sandboxes_of_a_pool_have_the_options_of_the_pool() -> None:
    with SandboxPool(1) as pool:
        assert configure({"pool": pool}).sandbox.pool is pool
        with pytest.raises(ConfigError, match="give imports= to SandboxPool"):
            configure({"pool": pool, "imports": "all"})


def test_a_sandbox_of_a_run_has_the_helpers_loaded() -> None:
    with SandboxOptions().open({}, nested=False) as box:
        assert is_helped(box)
