"""Started by the supervisor: `python -m mirror_proxy.comparison.process --control FD --pairs FD`."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # What a terminal or service manager sends to the whole group is answered by the supervisor.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    from mirror_proxy.comparison.process.process import (
        main,  # it takes a second, in which signals may come already
    )

    main(sys.argv)
