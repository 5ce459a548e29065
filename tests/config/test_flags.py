"""Flags: the options on how to read the files, and what is wrong with their values."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import pytest

from mirror_proxy.config.flags import Given, add_to, options
from mirror_proxy.config.model import Address
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Mark, Problems


def read(*argv: str, environ: Mapping[str, str] | None = None) -> tuple[Options, list[str]]:
    parser = argparse.ArgumentParser()
    add_to(parser)
    problems = Problems()
    found = options(Given(vars(parser.parse_args(argv)), environ or {}, problems))
    return found, [str(problem) for problem in problems.errors]


def test_options_are_read_from_flags_and_from_the_environment() -> None:
    found, problems = read(
        *("--endpoint", "shop/v2=127.0.0.1:8082", "--host-match", "strict"),
        *("--service-port", "80", "--workload-labels", "app=shop, version=v1", "--as", "istio-system/public"),
        environ={"MIRROR_PROXY_NAMESPACE": "store"},
    )
    assert problems == []
    endpoint = EndpointOption(Mark("--endpoint", is_flag=True), "shop", "v2", Address("127.0.0.1", 8082))
    assert found == Options(
        namespace="store",
        endpoints=(endpoint,),
        host_match="strict",
        service_port=80,
        workload_labels=(("app", "shop"), ("version", "v1")),
        acts_as="istio-system/public",
    )


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        (
            "--endpoint",
            "shop",
            '"shop" is not HOST[/SUBSET]=ADDRESS:PORT; write such as shop/v2=127.0.0.1:8082',
        ),
        (
            "--endpoint",
            "shop/=a:1",
            '"shop/=a:1" is not HOST[/SUBSET]=ADDRESS:PORT; write such as shop/v2=127.0.0.1:8082',
        ),
        ("--endpoint", "shop=a:0", '"shop=a:0": port 0 leads nowhere'),
        ("--namespace", "A_b", '"A_b" is not the name of a namespace'),
        ("--host-match", "loose", '"loose" is not one of auto, strict'),
        ("--service-port", "70000", "port number 70000 must be in the range 1..65535"),
        ("--workload-labels", "app", '"app" is not a list of labels; write such as app=shop,version=v1'),
        ("--as", "gateway", '"gateway" is neither mesh nor NAMESPACE/GATEWAY'),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_its_flag(flag: str, value: str, problem: str) -> None:
    found, problems = read(flag, value)
    assert found == Options()
    assert problems == [f"{flag}: {problem}"]
