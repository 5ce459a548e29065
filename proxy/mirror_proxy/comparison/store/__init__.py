"""Store: counts, examples and records of runs in a database, across restarts of the proxy. The only user of SQLAlchemy.

`engine` opens the database, `schema` has its tables, `runs` finds and begins runs, and `room` limits its size.
"""

from __future__ import annotations

from mirror_proxy.comparison.store.engine import StoreError, default_url
from mirror_proxy.comparison.store.schema import label
from mirror_proxy.comparison.store.store import Store

__all__ = ["Store", "StoreError", "default_url", "label"]
