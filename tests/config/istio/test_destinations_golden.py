"""A golden file: what stands behind hosts and subsets, and the clusters that becomes."""

from __future__ import annotations

import yaml

from mirror_proxy.config import loader
from tests.config.istio.test_virtual_service_golden import GOLDEN, said


def test_hosts_and_subsets_become_the_clusters_of_the_golden_file() -> None:
    config = loader.load([str(GOLDEN / "destinations.in.yaml")])
    expected = yaml.safe_load((GOLDEN / "destinations.out.yaml").read_text())
    assert [said(cluster) for cluster in config.clusters] == expected["clusters"]
    assert config.warnings == ()
