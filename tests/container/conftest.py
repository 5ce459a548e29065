"""What the container tests build on: the base image, and the image of mirror-proxy."""

from __future__ import annotations

import pytest

from tests.container.docker_engine import DEFAULT_BASE, base_image, docker, is_running

IMAGE = "mirror-proxy-test"


@pytest.fixture(scope="session")
def base() -> str:
    """Return the base image; skip the test where there is no engine, or nothing to make the image of."""
    if not is_running():
        pytest.skip("no Docker engine answers")
    found = base_image()
    if found is None:
        pytest.skip(
            f"no base image: {DEFAULT_BASE} cannot be pulled, and debootstrap is not installed (or not root)"
        )
    return found


@pytest.fixture(scope="session")
def image(base: str) -> str:
    """Build the image. Tagged, so that the next run and the compose files find every layer in the cache."""
    docker("build", "-q", "--build-arg", f"BASE_IMAGE={base}", "-t", IMAGE, ".", timeout_s=900)
    return IMAGE
