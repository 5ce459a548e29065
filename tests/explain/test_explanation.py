"""The explanation of a request: the route, the split, what each side is sent, on the real data plane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_proxy.config import loader
from mirror_proxy.config.model import Config
from mirror_proxy.config.options import Options
from mirror_proxy.explain import explanation, text, trial
from mirror_proxy.explain.request import parse
from mirror_proxy.routing import sticky
from tests.support.certificates import Authority

HEAD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop, "*.shop.example"]
  http:
"""
CANARY = """
  - name: testers
    match:
    - name: header
      headers: {x-canary: {exact: always}}
    - uri: {prefix: /beta/}
    rewrite: {uri: /, authority: new.shop}
    route:
    - destination: {host: v2, port: {number: 8080}}
  - name: shop
    route:
    - destination: {host: v1, port: {number: 8080}}
      weight: 95
    - destination: {host: v2, port: {number: 8080}}
      weight: 5
      headers: {request: {set: {x-side: canary}}, response: {set: {x-served-by: v2}}}
    timeout: 15s
    mirror: {host: v2, port: {number: 8080}}
    mirrorPercentage: {value: 0.57}
"""
SETTINGS = """
---
apiVersion: mirror-proxy.dev/v1
kind: MirrorProxy
metadata: {name: shop}
spec:
"""
Explain = Callable[..., Awaitable[str]]


@pytest.fixture
def explain(tmp_path: Path) -> Explain:
    """Explain a request under a VirtualService's routes and a MirrorProxy's spec."""

    async def tell(
        routes: str, method: str, url: str, *headers: str, spec: str = "", host_match: str = "auto"
    ) -> str:
        config = load(tmp_path, HEAD + routes + (SETTINGS + spec if spec else ""), host_match)
        request = parse(method, url, headers)
        return text.render(config, request, await explanation.explain(config, request))

    return tell


def load(tmp_path: Path, text: str, host_match: str = "auto") -> Config:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    return loader.load([str(path)], options=Options(host_match=host_match))


def part(told: str, begin: str) -> list[str]:
    """Return the paragraph that begins so."""
    [found] = [paragraph for paragraph in told.split("\n\n") if paragraph.startswith(begin)]
    return found.rstrip("\n").split("\n")


async def test_routes_are_told_in_order_with_what_kept_each_from_the_request(explain: Explain) -> None:
    told = await explain(CANARY, "GET", "http://shop/cart?id=7")
    assert told.startswith("GET /cart?id=7, Host: shop\n\n")
    assert part(told, "virtual host") == [
        'virtual host default/shop, by its host "*"',
        '  testers.header  no     header x-canary is "always": there is none',
        '  testers         no     path begins with "/beta/": it is "/cart"',
        "  shop            takes  everything",
    ]


async def test_the_split_is_told_with_shares_and_intervals_of_the_draw(explain: Explain) -> None:
    assert part(await explain(CANARY, "GET", "/"), "goes to") == [
        "goes to one of these, by its draw modulo 100",
        "  v1  95 %   0..94  v1:8080",
        "  v2   5 %  95..99  v2:8080",
    ]
    assert part(await explain(CANARY, "GET", "/beta/"), "goes to") == ["goes to", "  v2  100 %  v2:8080"]


@pytest.mark.parametrize(("key", "header"), [("cookie", "Cookie: a=b; user={}"), ("header", "User: {}")])
async def test_a_request_that_says_whose_it_is_sticks_to_one_destination(
    explain: Explain, key: str, header: str
) -> None:
    spec = f"  mirroring: {{sampling: {{sticky: {{{key}: user}}}}}}"
    for number in (15, 16, 17):
        told = await explain(CANARY, "GET", "/", header.format(number), spec=spec)
        version = "v2" if sticky.hash_of(str(number).encode()) % 100 >= 95 else "v1"
        assert part(told, "goes to")[-1] == f"  this request sticks to {version}, by its {key} user"
    assert "sticks to" not in await explain(CANARY, "GET", "/", spec=spec)
    assert "sticks to" not in await explain(CANARY, "GET", "/beta/", header.format(1), spec=spec)


async def test_a_request_that_says_whose_it_is_is_copied_or_not(explain: Explain) -> None:
    spec = "  mirroring: {sampling: {sticky: {cookie: user}}}"
    told = set()
    for number in range(8):
        shop = CANARY.replace("0.57", "50")
        last = part(await explain(shop, "GET", "/", f"Cookie: user={number}", spec=spec), "copy for")[-1]
        share = sticky.hash_of(str(number).encode()) % 1_000_000
        assert last == f"  this request {'is' if share < 500_000 else 'is not'} copied, by its cookie user"
        told.add(last)
    assert len(told) == 2
    assert "copied, by" not in await explain(CANARY, "GET", "/", spec=spec)


async def test_a_destination_of_weight_0_is_never_drawn_and_not_tried(explain: Explain) -> None:
    cutover = CANARY.replace("weight: 95", "weight: 0")
    told = await explain(cutover, "GET", "/")
    assert "  v1    0 %  never  v1:8080" in told
    assert "v1 is sent" not in told


async def test_each_destination_is_shown_what_it_is_sent(explain: Explain) -> None:
    told = await explain(CANARY, "GET", "http://shop/cart", "Connection: x-drop, keep-alive", "X-Drop: 1")
    assert part(told, "v1 is sent") == [
        "v1 is sent (+ added or changed, - not sent; addresses are this machine's)",
        "    GET /cart HTTP/1.1",
        "    Host: shop",
        "  + x-request-id: <new>",
        "  + x-forwarded-proto: http",
        "  + x-forwarded-for: 127.0.0.1",
        "  - Connection: x-drop, keep-alive",
        "  - X-Drop: 1",
    ]
    assert part(told, "v2 is sent") == ["v2 is sent as above, but", "  + x-side: canary"]
    assert part(told, "a response of v2") == [
        "a response of v2 reaches the client with",
        "  + x-served-by: v2",
    ]


async def test_a_rewrite_shows_in_the_request_line_and_in_host(explain: Explain) -> None:
    sent = part(await explain(CANARY, "GET", "http://shop/beta/x?y=1"), "v2 is sent")
    assert "  + GET /x?y=1 HTTP/1.1" in sent
    assert "  - GET /beta/x?y=1 HTTP/1.1" in sent
    assert "  + host: new.shop" in [line.lower() for line in sent]


async def test_a_copy_is_shown_against_the_primarys_with_its_effective_percentage(explain: Explain) -> None:
    first, *marked = part(await explain(CANARY, "GET", "http://shop/"), "copy for")
    share = "0.5699 % of such requests (draw modulo 1000000 below 5699)"
    assert first == f"copy for shop/v2, of {share}, at v2:8080: as the primary's, but"
    assert marked == [
        "  + x-forwarded-for: 127.0.0.1, 127.0.0.1",
        "  + x-envoy-internal: true",
        "  + x-mirror-proxy-shadow: shop/v2; <signature>",
        "  + x-mirror-proxy-via: <this proxy>; <signature>",
        "  - x-forwarded-for: 127.0.0.1",
    ]


async def test_a_request_that_is_never_copied_says_why(explain: Explain) -> None:
    told = await explain(CANARY, "POST", "/", spec="  mirroring: {methods: safe}")
    assert part(told, "copy for") == ["copy for shop/v2: never of such a request, outcome method (v2:8080)"]
    told = await explain(CANARY.replace("0.57", "0.00001"), "GET", "/")
    assert part(told, "copy for") == ["copy for shop/v2: never of such a request, outcome disabled (v2:8080)"]


async def test_timeouts_and_retries_are_told(explain: Explain) -> None:
    assert part(await explain(CANARY, "GET", "/"), "timeout") == [
        "timeout 15 s; 2 retries on cancelled connect-failure refused-stream unavailable",
        "copies for shop/v2: timeout 5 s, no retries",
    ]
    assert part(await explain(CANARY, "GET", "/beta/"), "timeout")[0].startswith("timeout none; ")


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        (
            "  - redirect: {scheme: https, authority: b.example, redirectCode: 302}",
            ["    HTTP/1.1 302 Found", "    location: https://b.example/x"],
        ),
        ("  - directResponse: {status: 418, body: {string: tea}}", ["    HTTP/1.1 418 I'm a teapot"]),
    ],
)
async def test_what_the_proxy_answers_itself_is_shown(
    explain: Explain, route: str, answer: list[str]
) -> None:
    told = await explain(route, "GET", "http://shop/x")
    shown = part(told, "the client gets")
    assert [line for line in answer if line.lower() in [one.lower() for one in shown]] == answer
    assert "is sent" not in told
    assert "goes to" not in told


async def test_a_preflight_request_that_cors_answers_is_shown(explain: Explain) -> None:
    cors = CANARY + "    corsPolicy: {allowOrigins: [{exact: https://a.example}], allowMethods: [GET]}\n"
    headers = ("Origin: https://a.example", "Access-Control-Request-Method: GET")
    told = await explain(cors, "OPTIONS", "/", *headers)
    shown = [line.lower() for line in part(told, "the client gets")]
    assert "    access-control-allow-origin: https://a.example" in shown


async def test_a_fault_is_told_apart_so_that_it_does_not_hide_the_rest(explain: Explain) -> None:
    abort = "    fault: {abort: {percentage: {value: 100}, httpStatus: 503}}\n"
    told = await explain(CANARY + abort, "GET", "/")
    assert "before all that, on purpose: 100 % get 503" in told
    assert "v1 is sent" in told


async def test_without_a_virtual_host_or_a_route_the_client_gets_404(explain: Explain) -> None:
    told = await explain(CANARY, "GET", "http://other/", host_match="strict")
    assert told.endswith("\n\nno virtual host takes it: 404 (NR)\n")
    only = CANARY.partition("  - name: shop")[0]
    told = await explain(only, "GET", "http://shop/")
    assert part(told, "virtual host")[-1] == "no route takes it: 404 (NR)"


@pytest.mark.parametrize(
    ("host", "domain"), [("shop", "shop"), ("SHOP:80", "shop"), ("a.shop.example", "*.shop.example")]
)
async def test_the_domain_that_matched_the_host_is_named(explain: Explain, host: str, domain: str) -> None:
    told = await explain(CANARY, "GET", f"http://{host}/", host_match="strict")
    assert part(told, "virtual host")[0] == f'virtual host default/shop, by its host "{domain}"'


async def test_what_is_no_request_to_the_proxy_is_shown_as_it_answers(explain: Explain) -> None:
    told = await explain(CANARY, "GET", "/", "Content-Length: 1", "Content-Length: 2")
    assert part(told, "the proxy refuses it:")[1] == "    HTTP/1.1 400 Bad Request"
    assert "virtual host" not in told


async def test_a_path_is_matched_as_it_is_after_normalization(explain: Explain) -> None:
    told = await explain(CANARY, "GET", "/x/../beta/y")
    assert '  testers         takes  path begins with "/beta/"' in told


async def test_a_port_is_that_of_the_listener_which_the_scheme_leads_to(
    explain: Explain, tmp_path: Path
) -> None:
    cert, key = Authority(tmp_path).issue("shop")
    tls = f"{{address: 127.0.0.1:8443, tls: {{certFile: {cert}, keyFile: {key}, clientCaFile: {cert}}}}}"
    spec = f"  listeners: [{{address: 127.0.0.1:8080}}, {tls}]"
    match = "  - match: [{port: 8443, scheme: {exact: https}}]\n"
    route = f"{match}    route: [{{destination: {{host: v1, port: {{number: 80}}}}}}]"
    told = await explain(route, "GET", "https://shop/", spec=spec)
    assert '  shop[0]  takes  scheme is "https" and port is 8443' in told
    assert "  + x-forwarded-proto: https" in told
    told = await explain(route, "GET", "http://shop/", spec=spec)
    assert '  shop[0]  no     scheme is "https": it is "http"' in told


async def test_a_scheme_that_no_listener_has_is_refused(explain: Explain) -> None:
    with pytest.raises(ValueError, match="no listener takes https; write http://"):
        await explain(CANARY, "GET", "https://shop/")


async def test_trial_makes_no_health_check(tmp_path: Path) -> None:
    route = """
  - fault: {abort: {percentage: {value: 100}, httpStatus: 503}}
    route:
    - destination: {host: v1, port: {number: 8080}}
"""
    spec = "  healthChecks: [{host: v1, http: {path: /healthz}}]\n"
    config = load(tmp_path, HEAD + route + SETTINGS + spec)
    result = await trial.run(config, b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert result.response.startswith(b"HTTP/1.1 503 ")
    assert result.heads == {}


async def test_trial_sends_no_proxy_header(tmp_path: Path) -> None:
    route = "\n  - route:\n    - destination: {host: v1, port: {number: 8080}}\n"
    config = load(tmp_path, HEAD + route + SETTINGS)
    named = replace(
        config, clusters=tuple(replace(cluster, proxy_protocol="V2") for cluster in config.clusters)
    )
    result = await trial.run(named, b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert [head.partition(b"\r\n")[0] for head in result.heads.values()] == [b"GET / HTTP/1.1"]
