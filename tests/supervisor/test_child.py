"""Orphans that become children of the supervisor, as in a container, are reaped; its own children's ends stay known."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_proxy.supervisor.child import reap_orphans
from tests.support.running_proxy import RunningProxy, config_for, is_alive
from tests.support.threaded_origin import origin
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PR_SET_CHILD_SUBREAPER = 36

#: A supervisor that gets orphans as process 1 does: `cat`, whose shell has ended, lives until its input ends.
_SCRIPT = f"""
import ctypes, pickle, subprocess, sys
from pathlib import Path
from mirror_proxy.supervisor import run

ctypes.CDLL(None).prctl({PR_SET_CHILD_SUBREAPER}, 1, 0, 0, 0)
for _ in range(20):
    subprocess.run(["sh", "-c", 'cat "$0" & ', Path(sys.argv[1]).with_name("input")], check=True)

def load():
    return pickle.loads(Path(sys.argv[1]).read_bytes())

sys.exit(run(load(), generation_source=load))
"""


class Reaper(RunningProxy):
    """A supervisor to whom 20 orphans have come."""

    script = _SCRIPT


def is_there(pid: int) -> bool:
    """Return whether the process `pid` exists; a zombie does."""
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Have orphans come to the test."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.usefixtures("subreaper")
def test_an_orphan_is_reaped_and_an_own_child_is_not() -> None:
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 0 >/dev/null & echo $!"]))
    with subprocess.Popen(["sh", "-c", "exit 7"]) as own:
        until(lambda: reap_orphans({own.pid}) and not is_there(orphan), "the orphan to be reaped")
        until(lambda: not is_alive(own.pid), "the own child to end")
        assert reap_orphans({own.pid}) == 0
        assert own.wait() == 7


def test_the_supervisor_reaps_orphans_and_still_knows_how_its_workers_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "input")
    with origin() as v1:
        proxy = Reaper(config_for(v1.address), tmp_path, 10.0)
        try:
            feed = os.open(tmp_path / "input", os.O_WRONLY)
            proxy.wait_ready()
            (worker,) = proxy.workers()
            orphans = [pid for pid in proxy.children() if pid != worker["pid"]]
            assert len(orphans) == 20
            os.kill(worker["pid"], signal.SIGKILL)
            os.close(feed)
            until(lambda: not any(map(is_there, orphans)), "every orphan to be reaped")
            until(lambda: "worker is back" in proxy.stderr, "another worker")
            assert "was killed by SIGKILL" in proxy.stderr
            assert proxy.ask()[0] == 200
            proxy.signal(signal.SIGTERM)
            assert proxy.wait() == 0
        finally:
            proxy.process.kill()
            proxy.process.wait()
