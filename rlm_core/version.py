"""Which version of this package is installed."""

from __future__ import annotations

DISTRIBUTION = "rlm-sandbox"


def own_version() -> str | None:
    """None in a checkout that is not installed. Takes longer than importing all of the package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
