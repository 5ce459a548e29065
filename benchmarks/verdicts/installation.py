"""Virtual environments of the applications, built from lock files and kept in a cache outside of the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def default_cache() -> Path:
    """Return `mirror-proxy-verdicts` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mirror-proxy-verdicts"


def install(name: str, lock: Path, cache: Path) -> Path:
    """Return the `bin` folder of an environment with exactly what the lock file lists; build it if need be."""
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{name}-{lock.stem}-{digest}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip: list[str | Path] = [
            folder / "bin" / "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--requirement",
            lock,
        ]
        subprocess.run(pip, check=True)
        complete.touch()
    return folder / "bin"
