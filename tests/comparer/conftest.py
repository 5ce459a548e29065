"""A database that several comparers share."""

from __future__ import annotations

from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]
