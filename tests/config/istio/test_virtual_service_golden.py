"""A golden file: VirtualServices with every field that has a meaning here, and the virtual hosts they become."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from mirror_proxy.config import loader

GOLDEN = Path(__file__).with_name("golden")


def said(value: Any) -> Any:
    """Return a model value as plain data, without what is as by default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: (getattr(value, field.name), field.default) for field in dataclasses.fields(value)
        }
        return {name: said(own) for name, (own, default) in fields.items() if own != default}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [said(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def test_every_field_of_a_virtual_service_becomes_what_the_golden_file_says() -> None:
    config = loader.load([str(GOLDEN / "virtual-service.in.yaml")])
    expected = yaml.safe_load((GOLDEN / "virtual-service.out.yaml").read_text())
    assert [said(host) for host in config.virtual_hosts] == expected["virtual_hosts"]
    assert [warning.split(" VirtualService ")[-1] for warning in config.warnings] == expected["warnings"]
