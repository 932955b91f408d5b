from __future__ import annotations

from rlm_core import errors
from rlm_core.policy import MaxTokensExceeded, PolicyError


def test_every_error_has_one_root_and_the_builtin_class_that_callers_expect() -> None:
    assert issubclass(errors.ContextError, errors.RLMError | ValueError)
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.RunCancelled, errors.RLMError)
    assert issubclass(PolicyError, errors.RLMError)
    assert issubclass(MaxTokensExceeded, RuntimeError)
