"""The Docker engine and Compose as the container tests use them: by their command lines, as people do."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
DEFAULT_BASE = "python:3.12-slim"
STAND_IN = "mirror-proxy-base:bookworm"
PROFILES = ("load", "sidecar", "monitoring")

T = TypeVar("T")


def docker(*arguments: str, timeout_s: float = 60) -> str:
    """Run one docker command and give its output; a failure shows what the command printed."""
    return _run(["docker", *arguments], timeout_s=timeout_s)


def inspect(thing: str) -> dict[str, Any]:
    """Give what the engine knows about an image or a container."""
    (description,) = json.loads(docker("inspect", thing))
    assert isinstance(description, dict)
    return description


def is_running() -> bool:
    """Return whether a Docker engine answers."""
    return shutil.which("docker") is not None and _succeeds("version", "--format", "{{.Server.Version}}")


def base_image() -> str | None:
    """Return the image to build on: BASE_IMAGE, the default, or a stand-in made of Debian packages, if any."""
    if chosen := os.environ.get("BASE_IMAGE"):
        return chosen
    if _succeeds("image", "inspect", STAND_IN):
        return STAND_IN
    if _succeeds("image", "inspect", DEFAULT_BASE) or _succeeds("pull", "-q", DEFAULT_BASE):
        return DEFAULT_BASE
    if shutil.which("debootstrap") is None or os.geteuid():
        return None
    with (Path(gettempdir()) / "mirror-proxy-base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of these tests may be making it
        if not _succeeds("image", "inspect", STAND_IN):
            _run([str(Path(__file__).with_name("base_image.sh")), STAND_IN], timeout_s=900)
    return STAND_IN


def eventually(read: Callable[[], T], wanted: Callable[[T], bool], within_s: float = 30) -> T:
    """Read until the value is as wanted; give the last one when the time is up, for the assertion to show."""
    deadline = time.monotonic() + within_s
    while not wanted(value := read()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return value


@dataclass(frozen=True)
class Compose:
    """One project of the repository's docker-compose.yml, or of other files, by the plugin or docker-compose."""

    project: str
    environment: Mapping[str, str]
    files: tuple[Path, ...] = (ROOT / "docker-compose.yml",)

    def __call__(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run one compose command with every profile switched on and give its output."""
        client = ["docker", "compose"] if _succeeds("compose", "version") else ["docker-compose"]
        options = ["-p", self.project]
        options += [word for profile in PROFILES for word in ("--profile", profile)]
        options += [word for file in self.files for word in ("-f", str(file))]
        return _run([*client, *options, *arguments], self.environment, timeout_s)

    def container(self, service: str) -> str:
        """Give the id of a service's container, stopped ones too."""
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        return docker("ps", "-aq", "--filter", f"label={labels[0]}", "--filter", f"label={labels[1]}").strip()

    def published(self, service: str, port: int) -> tuple[str, int]:
        """Give the host's address and port behind which a service's port is."""
        host, _, number = docker("port", self.container(service), str(port)).splitlines()[0].rpartition(":")
        return host, int(number)

    def python(self, service: str, code: str) -> str:
        """Run a line of Python inside a service's container."""
        return docker("exec", self.container(service), "python", "-c", code)

    def get(self, service: str, url: str) -> str:
        """Fetch a URL from inside a service's container."""
        return self.python(
            service, f"import urllib.request as u; print(u.urlopen({url!r}, timeout=5).read().decode())"
        )

    def can_get(self, service: str, url: str) -> bool:
        """Return whether a service's container answers yet."""
        try:
            self.get(service, url)
        except AssertionError:
            return False
        return True

    def leftovers(self) -> list[str]:
        """List the containers, networks and volumes that carry the project's label."""
        label = f"label=com.docker.compose.project={self.project}"
        listings = (("ps", "-a"), ("network", "ls"), ("volume", "ls"))
        return "".join(docker(*listing, "-q", "--filter", label) for listing in listings).split()


def _succeeds(*arguments: str) -> bool:
    return (
        subprocess.run(["docker", *arguments], capture_output=True, check=False, timeout=600).returncode == 0
    )


def _run(command: list[str], environment: Mapping[str, str] = {}, timeout_s: float = 60) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout
