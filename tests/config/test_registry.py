"""Registry: which endpoints stand behind a host and a subset, and which references dangle."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from mirror_proxy.config import loader, overlay
from mirror_proxy.config.flags import Given, add_to
from mirror_proxy.config.model import Address, Cluster, Config
from mirror_proxy.config.options import EndpointOption, Options
from mirror_proxy.config.problems import Mark, Problems
from tests.config.istio.documents import deployment, destination_rule, service, service_entry

Load = Callable[..., Config]
Refusals = Callable[..., list[str]]
FQDN = "v2.default.svc.cluster.local"
STATIC = (
    "hosts: [{}]\nresolution: STATIC\nports: [{{number: 80, name: http}}]\n"
    "endpoints: [{{address: {}, labels: {{version: v2}}}}]"
)
ENTRY = service_entry(STATIC.format(FQDN, "10.0.0.1"))
SUBSETS = destination_rule(
    subsets="[{name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}, {name: all}]"
)


def route(target: str, mirror: str = "") -> str:
    """Return a VirtualService that sends to a target, mirrored perhaps to another, each as flow text."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec:\n  hosts: [shop]\n"
    mirrored = f", mirror: {mirror}" if mirror else ""
    return f"{head}  http: [{{route: [{{destination: {target}}}]{mirrored}}}]\n"


def endpoint(text: str) -> EndpointOption:
    """Return what `--endpoint HOST[/SUBSET]=ADDRESS:PORT` says."""
    name, _, address = text.partition("=")
    host, _, subset = name.partition("/")
    where, _, port = address.rpartition(":")
    return EndpointOption(Mark("--endpoint", is_flag=True), host, subset, Address(where, int(port)))


@pytest.fixture
def cluster(load: Load) -> Callable[..., Cluster]:
    """Load documents with `--endpoint` options; return the cluster of their one destination."""

    def lead(text: str, *endpoints: str) -> Cluster:
        (only,) = load(text, options=Options(endpoints=tuple(map(endpoint, endpoints)))).clusters
        return only

    return lead


def addresses(cluster: Cluster) -> list[str]:
    return [str(one.address) for one in cluster.endpoints]


def test_a_host_that_no_document_defines_is_a_dns_name(cluster: Callable[..., Cluster]) -> None:
    found = cluster(route("{host: v2, port: {number: 80}}"))
    assert (found.name, found.host, addresses(found)) == (f"outbound|80||{FQDN}", "v2", ["v2:80"])


def test_the_port_is_the_one_written_the_services_only_one_or_the_listeners(load: Load) -> None:
    def lead(before: str, target: str) -> str:
        return load(before + route(target)).clusters[0].name.split("|")[1]

    assert lead(ENTRY, "{host: v2}") == "80"
    assert lead(ENTRY, "{host: v2, port: {number: 80}}") == "80"
    assert lead("", "{host: v2}") == "8080"


@pytest.mark.parametrize("target", ["{host: v2}", "{host: 10.0.0.9}"])
def test_a_port_that_is_guessed_is_warned_of(load: Load, target: str) -> None:
    (found,) = load(route(target)).warnings
    assert found.endswith("spec.http[0].route[0].destination: no port: 8080 is taken; set port.number")
    mirrored = load(route("{host: v1, port: {number: 80}}", target)).warnings
    assert mirrored[0].endswith("spec.http[0].mirror: no port: 8080 is taken; set port.number")


def test_a_service_entry_goes_before_a_service(cluster: Callable[..., Cluster]) -> None:
    kubernetes = service("ports: [{port: 80}]\nselector: {app: v2}") + deployment("v2-a", "{app: v2}")
    assert addresses(cluster(kubernetes + route("{host: v2}"))) == ["v2-a:80"]
    assert addresses(cluster(ENTRY + kubernetes + route("{host: v2}"))) == ["10.0.0.1:80"]


@pytest.mark.parametrize("host", ["v2", "v2.default", "v2.default.svc", FQDN])
def test_an_endpoint_option_goes_before_every_document(cluster: Callable[..., Cluster], host: str) -> None:
    found = cluster(
        ENTRY + route("{host: v2, port: {number: 80}}"), f"{host}=127.0.0.1:9", f"{host}=127.0.0.2:9"
    )
    assert (found.name, addresses(found)) == (f"outbound|80||{FQDN}", ["127.0.0.1:9", "127.0.0.2:9"])


def test_an_endpoint_option_for_a_host_holds_for_its_subsets_without_one(
    cluster: Callable[..., Cluster],
) -> None:
    def lead(subset: str, *options: str) -> list[str]:
        return addresses(cluster(ENTRY + SUBSETS + route(f"{{host: v2, subset: {subset}}}"), *options))

    assert lead("v2", "v2=a:1", "v2/v2=b:2") == ["b:2"]
    assert lead("v3", "v2=a:1", "v2/v2=b:2") == ["a:1"]
    assert lead("all", "v2/v2=b:2") == ["10.0.0.1:80"]


def test_an_endpoint_option_makes_host_and_subset_known(cluster: Callable[..., Cluster]) -> None:
    text = service_entry(STATIC.format("other.example", "10.0.0.1")) + route("{host: v2, subset: canary}")
    found = cluster(text, "v2/canary=127.0.0.1:9")
    assert (found.name, addresses(found)) == (f"outbound|9|canary|{FQDN}", ["127.0.0.1:9"])


def test_a_port_that_a_service_has_not_matters_no_more_once_an_option_says_where(
    cluster: Callable[..., Cluster],
) -> None:
    found = cluster(ENTRY + route("{host: v2, port: {number: 81}}"), "v2=a:1")
    assert (found.name, addresses(found)) == (f"outbound|81||{FQDN}", ["a:1"])


def test_an_endpoint_option_keeps_the_subsets_policy(cluster: Callable[..., Cluster]) -> None:
    rule = destination_rule(
        subsets="[{name: v2, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}]"
    )
    assert cluster(rule + route("{host: v2, subset: v2}"), "v2/v2=a:1").max_connections == 3


def test_an_endpoint_option_that_nothing_leads_to_is_warned_of(load: Load) -> None:
    options = Options(endpoints=(endpoint("v2=a:1"), endpoint("v3=b:1"), endpoint("v2/v4=c:1")))
    assert load(route("{host: v2}"), options=options).warnings == (
        "--endpoint: no destination leads to v3",
        "--endpoint: no destination leads to v2/v4",
    )


def test_a_short_option_is_of_the_namespace_of_the_load(load: Load) -> None:
    options = Options(namespace="shop", endpoints=(endpoint("v2=a:1"),))
    (only,) = load(route("{host: v2}"), options=options).clusters
    assert (only.name, addresses(only)) == ("outbound|1||v2.shop.svc.cluster.local", ["a:1"])


@pytest.mark.parametrize("named", ["v2=a:1", "v2.prod=a:1", "v2.prod.svc.cluster.local=a:1"])
def test_short_endpoint_option_applies_to_the_service_in_another_namespace(load: Load, named: str) -> None:
    text = route("{host: v2, port: {number: 1}}").replace("metadata: {", "metadata: {namespace: prod, ")
    config = load(text, options=Options(endpoints=(endpoint(named),)))
    (only,) = config.clusters
    assert (only.name, addresses(only)) == ("outbound|1||v2.prod.svc.cluster.local", ["a:1"])
    assert config.warnings == ()


def test_endpoint_option_for_a_subset_makes_it_known_in_another_namespace(load: Load) -> None:
    text = route("{host: v2, subset: b, port: {number: 1}}").replace(
        "metadata: {", "metadata: {namespace: prod, "
    )
    (only,) = load(text, options=Options(endpoints=(endpoint("v2/b=a:1"),))).clusters
    assert addresses(only) == ["a:1"]


def test_full_endpoint_option_wins_over_a_short_one(load: Load) -> None:
    text = route("{host: v2, port: {number: 1}}").replace("metadata: {", "metadata: {namespace: prod, ")
    options = Options(endpoints=(endpoint("v2=a:1"), endpoint("v2.prod=b:1")))
    (only,) = load(text, options=options).clusters
    assert addresses(only) == ["b:1"]


def test_a_url_of_the_command_line_says_itself_where_it_is(write: Callable[..., str]) -> None:
    parser = argparse.ArgumentParser()
    add_to(parser)
    arguments = parser.parse_args(["--primary", "http://v2:8000", "--mirror", "http://v3:80"])
    path = write(ENTRY)
    config = loader.load([path], overlay.documents(Given(vars(arguments), {}, Problems()), [path]))
    assert [addresses(one) for one in config.clusters] == [["v2:8000"], ["v3:80"]]


DANGLING = (
    ("{host: v2, subset: bogus}", 'Referenced {}+subset in destinationrule not found: "v2+bogus"'),
    ("{host: v22}", 'Referenced {}host not found: "v22"; did you mean "v2"?'),
    (
        "{host: unheard.of}",
        'Referenced {}host not found: "unheard.of"; define it, or give --endpoint unheard.of=ADDRESS:PORT',
    ),
    ("{host: v2.default}", f'Referenced {{}}host not found: "v2.default"; write {FQDN}'),
    (
        "{host: short}",
        (
            'Referenced {}host not found: "short"; a ServiceEntry\'s hosts are full names:'
            " short.default.svc.cluster.local"
        ),
    ),
    ("{host: v2, port: {number: 81}}", 'Referenced host:port not found: "v2:81"'),
    (
        "{host: two.example}",
        (
            'This VirtualService routes to a service "two.example" that exposes multiple ports [80 81]. Specifying a'
            " port in the destination is required to disambiguate."
        ),
    ),
    (
        "{host: v2, subset: v3}",
        (
            "The Subset v3 defined in the DestinationRule does not select any pods. Which may lead to 503 UH"
            " (NoHealthyUpstream)."
        ),
    ),
)
TWO_PORTS = "hosts: [two.example]\nresolution: DNS\nports: [{number: 80, name: a}, {number: 81, name: b}]"
DEFINED = (
    ENTRY
    + SUBSETS
    + service_entry(TWO_PORTS, "two")
    + service_entry("hosts: [short]\nresolution: DNS\nports: [{number: 80, name: a}]", "short")
)


@pytest.mark.parametrize(("target", "problem"), DANGLING)
def test_a_reference_that_dangles_is_refused_in_istios_words(
    refusals: Refusals, target: str, problem: str
) -> None:
    (found,) = refusals(DEFINED + route(target))
    words = problem.format("host" if "+subset" in problem else "")
    assert (
        found.partition(" ")[2] == f"VirtualService default/shop spec.http[0].route[0].destination: {words}"
    )


@pytest.mark.parametrize(("target", "problem"), DANGLING)
def test_a_mirror_that_dangles_is_refused_in_istios_words(
    refusals: Refusals, target: str, problem: str
) -> None:
    (found,) = refusals(DEFINED + route("{host: v2}", target))
    words = problem.format("mirror" if "+subset" in problem else "mirror ")
    assert found.partition(" ")[2] == f"VirtualService default/shop spec.http[0].mirror: {words}"


def test_a_labelled_subset_of_a_host_that_nothing_defines_is_refused(refusals: Refusals) -> None:
    (found,) = refusals(SUBSETS + route("{host: v2, subset: v2, port: {number: 80}}"))
    hint = "define it, or give --endpoint v2/v2=ADDRESS:PORT"
    assert found.endswith(f'destination: Referenced host not found: "v2"; {hint}')


def test_a_subset_without_labels_is_all_of_a_host(cluster: Callable[..., Cluster]) -> None:
    assert addresses(cluster(SUBSETS + route("{host: v2, subset: all, port: {number: 80}}"))) == ["v2:80"]


def test_a_subset_of_a_service_without_workloads_selects_nothing(refusals: Refusals) -> None:
    (found,) = refusals(service("ports: [{port: 80}]") + SUBSETS + route("{host: v2, subset: v2}"))
    assert found.partition("destination: ")[2].startswith(
        "The Subset v2 defined in the DestinationRule does not"
    )


def test_an_address_needs_no_definition(cluster: Callable[..., Cluster]) -> None:
    assert addresses(cluster(DEFINED + route("{host: 10.0.0.9, port: {number: 80}}"))) == ["10.0.0.9:80"]


def test_all_that_dangles_is_told(refusals: Refusals) -> None:
    assert len(refusals(DEFINED + route("{host: v3, subset: a}", "{host: v2, port: {number: 9}}"))) == 2


def test_a_subset_that_selects_nothing_and_is_not_used_is_warned_of(load: Load) -> None:
    (found,) = load(ENTRY + SUBSETS + route("{host: v2}")).warnings
    assert found.partition(" ")[2] == (
        "DestinationRule default/v2 spec.subsets[1]: The Subset v3 defined in the DestinationRule does not select any"
        " pods. Which may lead to 503 UH (NoHealthyUpstream)."
    )


def test_a_subset_with_an_endpoint_option_selects_something(load: Load) -> None:
    options = Options(endpoints=(endpoint("v2/v3=a:1"),))
    text = ENTRY + SUBSETS + route("{host: v2}", "{host: v2, subset: v3}")
    assert load(text, options=options).warnings == ()


def test_a_rule_for_a_host_that_nothing_defines_is_warned_of(load: Load) -> None:
    (found,) = load(ENTRY + destination_rule(host="v9") + route("{host: v2}")).warnings
    assert found.partition(" ")[2] == (
        "DestinationRule default/v2 spec.host: The host v9.default.svc.cluster.local defined in the DestinationRule"
        " does not match any services in the mesh."
    )


def test_an_underscore_is_warned_of(load: Load) -> None:
    (found,) = load(route("{host: v_2, port: {number: 80}}")).warnings
    assert found.endswith("a mesh would refuse the host v_2 for its underscore")
