"""What the container tests build on: the base image, and the image of mirror-proxy."""

from __future__ import annotations

import pytest

from tests.container.docker_engine import base_image, docker

IMAGE = "mirror-proxy-test"


@pytest.fixture(scope="session")
def base() -> str:
    return base_image()


@pytest.fixture(scope="session")
def image(base: str) -> str:
    """Build the image. Tagged, so that the next run and the compose files find every layer in the cache."""
    docker("build", "-q", "--build-arg", f"BASE_IMAGE={base}", "-t", IMAGE, ".", timeout_s=900)
    return IMAGE
