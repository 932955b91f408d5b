"""The error tree is what its docstring says."""

from __future__ import annotations

import inspect
import re

from rlm_core.adapters import errors


def test_the_docstring_names_every_error_and_no_other() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"ModelError"}
    written = {name for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert drawn == written


def test_all_descend_from_one_root_and_carry_the_status() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    for kind in kinds:
        error = kind("what to do", status=500)
        assert isinstance(error, errors.ModelError)
        assert (str(error), error.status) == ("what to do", 500)


def test_a_model_timeout_is_a_timeout() -> None:
    assert issubclass(errors.ModelTimeout, TimeoutError)
