"""Gateway API's documents of a configuration: an HTTPRoute for each virtual host, to be attached to a Gateway.

HTTPRoutes and Kubernetes' own documents stay as they are. Destinations become references to Services, one for
each subset: made, where the documents say of which pods, else noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mirror_proxy.config.gateway_api import http_route
from mirror_proxy.config.gateway_api.names import VERSIONS
from mirror_proxy.config.istio.names import VERSIONS as ISTIO
from mirror_proxy.config.loader import Loaded
from mirror_proxy.config.model import Cluster, Match, VirtualHost
from mirror_proxy.config.options import Options
from mirror_proxy.config.settings import KIND as SETTINGS
from mirror_proxy.translate.gateway_match import out_of_order
from mirror_proxy.translate.gateway_rule import HOSTNAME, RuleWriter
from mirror_proxy.translate.istio import GATEWAY, canonical, of_http_routes
from mirror_proxy.translate.services import Services
from mirror_proxy.translate.translation import (
    Message,
    Translation,
    fewest_hosts,
    leave_out_settings,
    own_name,
    present,
)

NO_EQUIVALENT = "Gateway API has no word for it"
MAX_RULES, MAX_MATCHES, MAX_HOSTS = 16, 64, 16
Rule = tuple[Message, tuple[Match, ...]]


def documents(loaded: Loaded, options: Options) -> Translation:
    """Return the documents of a configuration, loaded with `--host-match strict`."""
    translation = Translation()
    loaded = replace(loaded, config=loaded.config.without_baselines())
    for document in loaded.documents:
        if document.kind == SETTINGS:
            leave_out_settings(document, translation, {}, NO_EQUIVALENT)
        elif document.api_version not in ISTIO:
            translation.documents.append(canonical(document))
        elif document.kind != "VirtualService":
            spec = document.root.value["spec"].value
            for key in (key for key in spec if key not in {"host", "hosts"}):
                translation.leave_out(f"{document.subject} spec.{key}", NO_EQUIVALENT)
    for one in options.endpoints:
        where = f"{one.host}{'/' if one.subset else ''}{one.subset}={one.address}"
        translation.leave_out(f"--endpoint {where}", "a Service says where its endpoints are")
    clusters = {cluster.name: cluster for cluster in loaded.config.clusters}
    kept, _ = of_http_routes(loaded)
    parent = (options.acts_as or "mesh").partition("/")[::2]
    services = Services(loaded.documents, translation)
    routes = [
        http_routes(host, clusters, services, translation, parent)
        for host in loaded.config.virtual_hosts
        if host not in kept
    ]
    translation.documents += [document for of_host in routes for document in of_host]
    return translation


def http_routes(
    host: VirtualHost,
    clusters: Mapping[str, Cluster],
    services: Services,
    translation: Translation,
    parent: tuple[str, str],
) -> list[Message]:
    """Return the HTTPRoutes that route as `host` does: several, where one has no room for all rules.

    `parent` is namespace and name of the Gateway they are attached to (without a name: one to be written in).
    """
    namespace, name = own_name(host.name)
    writer = RuleWriter(clusters, namespace, services, translation)
    rules = [rule for route in host.routes for rule in writer.of(route)]
    _check_order(rules, translation)
    hosts = _hostnames(host, namespace, translation)
    if not parent[1]:
        translation.note(f"Attached to the Gateway {GATEWAY}: write yours in parentRefs.")
    chunks = list(_chunks(rules))
    return [
        {
            "apiVersion": next(iter(VERSIONS)),
            "kind": http_route.KIND,
            "metadata": {"name": name if len(chunks) == 1 else f"{name}-{number:03}", "namespace": namespace},
            "spec": present(
                parentRefs=[_parent(parent, namespace)],
                hostnames=hosts,
                rules=_named(chunk, name, translation, unnumbered=len(chunks) == 1),
            ),
        }
        for number, chunk in enumerate(chunks)
    ]


def _parent(parent: tuple[str, str], namespace: str) -> Message:
    of, name = parent
    return present(name=name or GATEWAY, namespace=of if name and of != namespace else None)


def _hostnames(host: VirtualHost, namespace: str, translation: Translation) -> list[str]:
    """Return the hostnames of a virtual host, none for every one."""
    hosts = fewest_hosts(host.domains, namespace)
    if "*" in hosts:
        return []
    fit = [
        one
        for one in hosts
        if HOSTNAME.fullmatch(one.removeprefix("*.")) and not re.fullmatch(r"[0-9.]+", one)
    ]
    for one in hosts:
        if one not in fit:
            translation.leave_out(f"{host.name} host {one}", "HTTPRoute takes names, and *. before them")
    if len(fit) > MAX_HOSTS:
        translation.leave_out(
            f"{host.name} hosts", f"HTTPRoute takes {MAX_HOSTS}; left out: {', '.join(fit[16:])}"
        )
    if not fit:
        translation.leave_out(f"{host.name} hosts", "without any that HTTPRoute takes, it takes every host")
    return fit[:MAX_HOSTS]


def _check_order(rules: Sequence[Rule], translation: Translation) -> None:
    tried = [(rule["name"], match) for rule, matches in rules for match in matches]
    for first, second in dict.fromkeys(out_of_order(tried)):
        translation.leave_out(
            first, f"comes before {second}, but Gateway API tries {second} first, as more particular"
        )


def _chunks(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """Yield as many rules as one HTTPRoute holds; one with too many matches for that is parted."""
    chunk: list[Rule] = []
    count = 0
    for rule, matches in rules:
        for start in range(0, len(matches), MAX_MATCHES):
            part = matches[start : start + MAX_MATCHES]
            written = rule.get("matches", [])[start : start + MAX_MATCHES]
            if len(chunk) == MAX_RULES or count + len(part) > 2 * MAX_MATCHES:
                yield chunk
                chunk, count = [], 0
            chunk.append(({**rule, **({"matches": written} if written else {})}, part))
            count += len(part)
    if chunk:
        yield chunk


def _named(chunk: Sequence[Rule], name: str, translation: Translation, *, unnumbered: bool) -> list[Message]:
    """Return rules with the names that HTTPRoute takes; one that it would give itself goes without."""
    rules: list[Message] = []
    names: set[str] = set()
    for index, (rule, _) in enumerate(chunk):
        own = rule["name"]
        is_given = unnumbered and own == f"{name}[{index}]"
        if is_given or own in names or not HOSTNAME.fullmatch(own):
            if not is_given:
                translation.leave_out(own, "its name, which HTTPRoute takes once and in lower case only")
            rules.append({key: value for key, value in rule.items() if key != "name"})
        else:
            names.add(own)
            rules.append(rule)
    return rules
