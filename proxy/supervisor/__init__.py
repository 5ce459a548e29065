"""The supervisor: the one process that owns sockets, workers and configuration generations.

`run` is the only door. `core` decides (signals, reload, drain), `slot` keeps one worker alive on its
sockets, `process` is a worker seen from outside, `sockets` and `cpus` are what it starts from, `tally` adds
up what workers counted. It runs on plain asyncio: nothing here is per request.
"""

from proxy.supervisor.core import run
from proxy.supervisor.slot import Patience

__all__ = ["Patience", "run"]
