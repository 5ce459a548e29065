"""A shop of two versions and a mirror behind a running proxy, and the command that steers it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mirror_proxy import cli
from mirror_proxy.config.model import Admin, Config, Destination, MirrorPolicy, Route, VirtualHost
from tests.support.plane import cluster_at
from tests.support.running_proxy import RunningProxy, config_for, running
from tests.support.threaded_origin import origin


def ctl(proxy: RunningProxy, *words: str) -> int:
    return cli.main(["ctl", *words], {"MIRROR_PROXY_ADMIN": str(proxy.config.settings.admin.address)})


@contextlib.contextmanager
def shop(folder: Path, *mirrors: MirrorPolicy, token_file: str | None = None) -> Iterator[RunningProxy]:
    """Run a proxy with two versions and a mirror, or with `mirrors`, whose cluster is `m`."""
    with origin(b"v1") as v1, origin(b"v2") as v2:
        config: Config = config_for(v1.address, mirror=v2.address)
        destinations = (Destination("shop/v1", "p", 1), Destination("shop/v2", "c2", 0))
        [host] = config.virtual_hosts
        route = Route("shop", destinations, mirrors or host.routes[0].mirrors)
        settings = config.settings
        config = replace(
            config,
            settings=replace(settings, admin=Admin(settings.admin.address, token_file)),
            clusters=(*config.clusters, cluster_at("c2", v2.address)),
            virtual_hosts=(VirtualHost("default/shop", ("*",), (route,)),),
        )
        with running(config, folder) as proxy:
            yield proxy
