"""`python -m mirror_proxy` is the `mirror-proxy` command."""

from __future__ import annotations

import sys

from mirror_proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
