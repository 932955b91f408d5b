from __future__ import annotations

from pathlib import Path

import pytest

import rlm_core
from rlm_core.options import Options

READERS = ("config.py", "foreign_options.py", "rlm.py")


@pytest.mark.parametrize("name", Options.__annotations__)
def test_every_option_is_read_somewhere(name: str) -> None:
    sources = [(Path(rlm_core.__file__).parent / each).read_text() for each in READERS]
    assert any(f'"{name}"' in source for source in sources)
