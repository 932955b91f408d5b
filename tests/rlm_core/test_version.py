from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from rlm_core import version as versions


def test_what_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "DISTRIBUTION", "no-such-distribution")
    assert versions.own_version() is None


def test_the_version_is_that_of_the_installed_distribution() -> None:
    try:
        installed = version(versions.DISTRIBUTION)
    except PackageNotFoundError:
        installed = None
    assert versions.own_version() == installed
