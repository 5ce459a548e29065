"""The supervisor: the one process that owns sockets, workers and configuration generations.

`run` is the only entry point. `core` puts the parts together and handles signals and the admin server's requests. In
the order of their dependencies:

    unix_socket                a bound unix socket and its file
    sockets, machine, child    listening sockets; processors and memory; a child process of either kind
    process, slot, fleet       one worker; the worker of a slot, replaced when it ends; all slots on one generation
    counters, spans, otlp      the workers' counters added up; their spans, queued and exported
    comparer                   the comparer, replaced when it ends
    steering, logs             overrides and the log level that operators set while the proxy runs
    admin_listeners, reload    the addresses of the admin server; loading a configuration again
    banner                     the first lines of the log

The supervisor runs on plain asyncio: nothing here is per request.
"""

from mirror_proxy.supervisor.core import run
from mirror_proxy.supervisor.slot import Timeouts

__all__ = ["Timeouts", "run"]
