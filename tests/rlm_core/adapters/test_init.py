"""The package's public names are those that it says, and nothing heavy comes with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rlm_core import adapters


def test_every_public_name_is_there() -> None:
    assert sorted(adapters.__all__) == dir(adapters)
    for name in adapters.__all__:
        assert getattr(adapters, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchAdapter"):
        _ = adapters.NoSuchAdapter


def test_importing_the_package_imports_no_adapter() -> None:
    code = (
        "import sys, rlm_core.adapters; print([name for name in sys.modules "
        "if name.startswith(('rlm_core.adapters.', 'httpx', 'asyncio'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
