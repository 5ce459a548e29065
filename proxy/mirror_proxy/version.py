"""Which version this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Give the installed distribution's version; `dev` where the package was not installed."""
    try:
        return metadata.version("mirror-proxy")
    except metadata.PackageNotFoundError:
        return "dev"
