"""The supervisor: the one process that owns sockets, workers and configuration generations.

`run` is the only entry point. `core` puts the parts together and answers signals and the admin server; `reload` loads,
`fleet` puts a generation into force in all workers or in none, `steering` keeps live overrides, `admin_listeners` the
admin addresses. `slot` keeps one worker alive on its sockets, `process` is a worker seen from outside, `sockets`
and `machine` are what it starts from, `fitting` fits a configuration to the machine, `counters` adds up workers'
counts. `comparer` keeps the comparer alive; `child` is what both
kinds of process are. `spans` queues what workers
traced, and `otlp` exports it. As process 1 of a container it reaps `orphans`. It runs on plain asyncio: nothing here
is per request.
"""

from mirror_proxy.supervisor.core import run
from mirror_proxy.supervisor.slot import Timeouts

__all__ = ["Timeouts", "run"]
