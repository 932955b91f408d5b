"""A session's names over a host that answers in capitals, and a way to run code in it."""

from __future__ import annotations

from typing import Any

import pytest

from rlm_core.context import Context
from tests.rlm_core.guest_double import TEXT, HostDouble, guest_session


@pytest.fixture
def host() -> HostDouble:
    return HostDouble()


@pytest.fixture
def guest(host: HostDouble) -> dict[str, Any]:
    return guest_session(Context.from_text(TEXT), host)
