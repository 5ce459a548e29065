"""Started by the supervisor: `python -m proxy.comparer --control FD --pairs FD`."""

from __future__ import annotations

import sys

from proxy.comparer.process import main

if __name__ == "__main__":
    main(sys.argv)
