"""One root for everything raised on purpose, and a docstring that shows the whole tree."""

from __future__ import annotations

import pytest

from rlm_sandbox import errors
from rlm_sandbox.errors import NameNotFound, SandboxError, ValueRefused

CLASSES = [value for value in vars(errors).values() if isinstance(value, type)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_root(kind: type) -> None:
    assert issubclass(kind, SandboxError)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_names_every_error(kind: type) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__.split()


def test_a_missing_name_can_be_caught_as_a_key_error_and_reads_as_plain_text() -> None:
    with pytest.raises(KeyError):
        raise NameNotFound("there is no variable 'x'")
    assert str(NameNotFound("there is no variable 'x'")) == "there is no variable 'x'"


def test_a_refused_value_can_be_caught_as_a_type_error() -> None:
    with pytest.raises(TypeError):
        raise ValueRefused("no")
