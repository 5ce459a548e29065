"""Requests drawn with a seed: aimed at what a configuration looks at, then made a little wrong, plus noise.

Two of three requests are made to meet every condition of one of the configuration's matches; some of those have
one condition broken afterwards. The others are drawn from everything that the configuration mentions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mirror_proxy.config.model import Config, CorsPolicy, FieldMatch, Match, Route, StringMatch, VirtualHost
from tests.differential.sample import sample

METHODS = ("GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
ODD_METHODS = ("LABEL", "VERSION-CONTROL", "get")
NOISE_PATHS = (
    "/",
    "/other",
    "/a/b/c",
    "/%7Euser/%41",
    "/dots/./and/../more",
    "/../above",
    "//two//slashes",
    "/enc%2Foded%5Cslash",
    "/space%20and%C3%A9",
    "/semi;colon=1",
    "/plus+and,comma",
    "/a%25b",
    "/bad%zz",
    "/%",
    "/UPPER/Case",
    "/back\\slash",
    "/quote\"and'",
    "/{braces}|pipe",
    "/trailing/",
    "/a/..",
    "/a/.",
    "/%2e%2E/x",
    "/raw/caf\xe9",
)
NOISE_QUERIES = (
    "",
    "",
    "",
    "",
    "?",
    "?a=1",
    "?a=1&a=2",
    "?q=%20x&empty=&bare",
    "?next=/x?y",
    "?a/../b",
    "?%",
    "?a=1#".rstrip("#"),
)
NOISE_FIELDS = (
    ("accept", "*/*"),
    ("Accept-Encoding", "gzip, br"),
    ("User-Agent", "Tester/1.0 (x)"),
    ("Cookie", "user=dev; a=1"),
    ("cookie", "second=2"),
    ("X-Mixed-CASE", "Kept As Is"),
    ("x-twice", "1"),
    ("x-twice", "2"),
    ("x-empty", ""),
    ("x-blanks", "  in  front and behind  "),
    ("x_under_score", "1"),
    ("x-latin", "caf\xe9"),
    ("X-Forwarded-For", "10.0.0.1"),
    ("x-forwarded-for", "10.0.0.1, 192.168.0.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "front.example"),
    ("forwarded", "for=10.0.0.1"),
    ("via", "1.1 front"),
    ("x-request-id", "11111111-2222-4333-8444-555555555555"),
    ("x-request-id", "not-a-uuid"),
    ("x-forwarded-port", "99"),
    ("x-forwarded-client-cert", "By=spiffe://front;URI=spiffe://client"),
    ("x-envoy-internal", "true"),
    ("x-envoy-original-path", "/from/client"),
    ("x-envoy-original-host", "from.client"),
    ("x-envoy-external-address", "10.0.0.1"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-retry-on", "5xx"),
    ("X-Envoy-Max-Retries", "9"),
    ("x-envoy-force-trace", "true"),
    ("x-envoy-attempt-count", "7"),
    ("x-envoy-peer-metadata", "client"),
    ("x-mirror-proxy-shadow", "somebody; 0123456789abcdef"),
    ("x-mirror-proxy-via", "somebody; 0123456789abcdef"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Connection", "keep-alive"),
    ("Connection", "x-nominated"),
    ("x-nominated", "1"),
    ("Authorization", "Bearer token"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("range", "bytes=0-1"),
    ("if-none-match", '"x"'),
    ("origin", "https://shop.example"),
    ("x-percent", "100%25 %START_TIME%"),
)
HOSTS = (
    "shop",
    "shop:8080",
    "SHOP.Example",
    "unknown.example",
    "127.0.0.1",
    "[::1]:80",
    "a.b.c.example:9",
    "",
)


@dataclass
class Case:
    """One request, and what it was drawn from."""

    number: int
    method: str
    target: str
    host: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    chunks: tuple[bytes, ...] = ()
    is_chunked: bool = False
    trailers: tuple[tuple[str, str], ...] = ()
    minor: int = 1

    @property
    def id(self) -> str:
        """What `x-case` says."""
        return str(self.number)

    @property
    def has_body(self) -> bool:
        """Return whether anything follows the head."""
        return bool(self.chunks) or self.is_chunked

    def values(self, name: str) -> list[str]:
        """Give the values of a field."""
        return [value for have, value in self.fields if have.lower() == name]

    def wire(self) -> bytes:
        """Write it."""
        lines = [
            f"{self.method} {self.target} HTTP/1.{self.minor}",
            f"Host: {self.host}",
            f"x-case: {self.id}",
        ]
        lines += [f"{name}: {value}" for name, value in self.fields]
        body = b"".join(self.chunks)
        if self.is_chunked:
            lines.append("transfer-encoding: chunked")
            pieces = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in self.chunks)
            ends = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in self.trailers)
            body = pieces + b"0\r\n" + ends + b"\r\n"
        elif body or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def __str__(self) -> str:
        head, _, body = self.wire().decode("latin-1").partition("\r\n\r\n")
        lines = " | ".join(head.split("\r\n"))
        return f"case {self.number}: {lines} | {len(body)} bytes"


class Generator:
    """Draws the cases of one configuration."""

    def __init__(self, config: Config, seed: str, answers: Sequence[str]) -> None:
        self._draw = random.Random(seed)
        self._answers = answers
        self._matches = [
            (host, route, match)
            for host in config.virtual_hosts
            for route in host.routes
            for match in route.matches or (Match(),)
        ]
        self._fields = [one for _, _, match in self._matches for one in match.headers]
        self._parameters = [one for _, _, match in self._matches for one in match.query]
        self._paths = [match.path for _, _, match in self._matches if match.path is not None]

    def cases(self, count: int) -> Iterator[Case]:
        """Draw so many cases."""
        for number in range(count):
            yield self._case(number)

    def _case(self, number: int) -> Case:
        draw = self._draw
        host, route, match = draw.choice(self._matches)
        case = Case(number, draw.choice(METHODS), "/", self._host(host))
        if draw.random() < 0.67:
            self._meet(case, match)
        else:
            self._wander(case)
        self._ask_across_origins(case, route)
        for _ in range(draw.choice((0, 0, 1, 1, 2, 3))):
            case.fields.append(draw.choice(NOISE_FIELDS))
        if draw.random() < 0.7:
            case.fields.append(("x-answer", draw.choice(self._answers)))
        self._embody(case)
        if draw.random() < 0.03 and not case.chunks and not case.is_chunked:
            case.fields += [
                ("Connection", "Upgrade"),
                ("Upgrade", draw.choice(("websocket", "h2c", "other"))),
            ]
        if draw.random() < 0.06:
            case.fields.append(("Expect", "100-continue"))
        if draw.random() < 0.03 and not case.is_chunked:
            case.minor = 0
            case.fields += draw.choice(([], [("Connection", "keep-alive")]))
        if draw.random() < 0.05 and re.fullmatch(r"[\w.-]+(:\d+)?", case.host):
            user = draw.choice(("", "", "me:secret@"))
            authority = draw.choice((case.host, case.host, draw.choice(HOSTS) or "other"))
            case.target = f"http://{user}{authority}{case.target}"
        if draw.random() < 0.01:
            case.method = draw.choice(ODD_METHODS)
        draw.shuffle(case.fields)
        return case

    def _meet(self, case: Case, match: Match) -> None:
        """Meet every condition of a match; in one of four cases, all but one."""
        draw = self._draw
        spared = draw.choice(("path", "method", "authority", "fields", "query", *("none",) * 15))
        path = self._path(match.path) if spared != "path" else draw.choice(NOISE_PATHS)
        if match.method is not None and spared != "method":
            case.method = self._string(match.method)
        if match.authority is not None and spared != "authority":
            case.host = self._string(match.authority)
        fields = list(match.headers)
        query = list(match.query)
        if spared == "fields" and fields:
            fields.remove(draw.choice(fields))
        if spared == "query" and query:
            query.remove(draw.choice(query))
        self._set_fields(case, fields)
        case.target = path + self._query(query)

    def _wander(self, case: Case) -> None:
        """Take something of everything, broken or not."""
        draw = self._draw
        paths = self._paths
        path = self._path(draw.choice(paths)) if paths and draw.random() < 0.5 else draw.choice(NOISE_PATHS)
        if draw.random() < 0.2:
            case.host = draw.choice(HOSTS)
        self._set_fields(case, draw.sample(self._fields, min(len(self._fields), draw.randint(0, 2))))
        parameters = draw.sample(self._parameters, min(len(self._parameters), draw.randint(0, 2)))
        case.target = path + self._query(parameters)

    def _host(self, host: VirtualHost) -> str:
        domain = self._draw.choice(host.domains)
        if domain == "*":
            return self._draw.choice(HOSTS)
        if domain.startswith("*"):
            domain = self._draw.choice(("", "x", "deep.down")) + domain[1:]
        domain = domain.strip(".") or "x"
        return self._draw.choice((domain, domain, domain, f"{domain}:8080", domain.upper(), f"{domain}x"))

    def _path(self, match: StringMatch | None) -> str:
        """Draw a path that `match` takes, or nearly."""
        draw = self._draw
        if match is None or match.kind == "present":
            return draw.choice(NOISE_PATHS)
        path = self._string(match)
        if not path.startswith("/"):
            path = f"/{path}"
        ends = ("", "", "", "/", "/sub", "x", "/./", "//", "?", "/sub/../", "%2F", "/a b".replace(" ", "%20"))
        return path + (draw.choice(ends).strip("?") if match.kind != "exact" or draw.random() < 0.2 else "")

    def _string(self, match: StringMatch) -> str:
        draw = self._draw
        if match.kind == "present":
            return draw.choice(("", "1", "anything"))
        value = sample(match.value, draw) if match.kind == "regex" else match.value
        if draw.random() < 0.15:
            value = draw.choice((value.upper(), value.lower(), value.swapcase(), value + "x", value[:-1]))
        elif match.kind == "prefix" and draw.random() < 0.5:
            value += draw.choice(("x", "-more", "1"))
        return value

    def _set_fields(self, case: Case, fields: Sequence[FieldMatch]) -> None:
        draw = self._draw
        for one in fields:
            if one.name.startswith(":"):
                if one.name == ":authority":
                    case.host = self._string(one.value)
                continue
            if one.invert and draw.random() < 0.7:
                continue
            name = draw.choice((one.name, one.name.title()))
            case.fields.append((name, self._string(one.value)))
            if draw.random() < 0.1:
                case.fields.append((one.name, self._string(one.value)))

    def _query(self, parameters: Sequence[FieldMatch]) -> str:
        draw = self._draw
        if not parameters:
            return draw.choice(NOISE_QUERIES)
        pairs = [f"{one.name}={self._string(one.value)}" for one in parameters]
        if draw.random() < 0.2:
            pairs.append(draw.choice(pairs))
        if draw.random() < 0.3:
            pairs.insert(draw.randint(0, len(pairs)), draw.choice(("z=9", "bare", "%61=1", "=")))
        return "?" + "&".join(pairs).replace(" ", "%20")

    def _ask_across_origins(self, case: Case, route: Route) -> None:
        """Where a route has a CORS policy, act as a browser: with an Origin, often as a preflight."""
        policy: CorsPolicy | None = route.cors
        if policy is None:
            return
        draw = self._draw
        origins = [self._string(one) for one in policy.allow_origins]
        case.fields.append(("Origin", draw.choice([*origins, "https://evil.example"])))
        if draw.random() < 0.5:
            case.method = "OPTIONS"
            if draw.random() < 0.8:
                case.fields.append(("Access-Control-Request-Method", draw.choice(("GET", "PUT"))))

    def _embody(self, case: Case) -> None:
        """Give it a body, framed one way or the other."""
        draw = self._draw
        if case.method in {"GET", "HEAD", "OPTIONS", "DELETE"} and draw.random() < 0.95:
            return
        sizes = (1, 5, 100, 5000)
        case.chunks = tuple(
            bytes(draw.choices(b"abc", k=draw.choice(sizes))) for _ in range(draw.randint(0, 3))
        )
        case.is_chunked = draw.random() < 0.5
        if case.is_chunked and draw.random() < 0.3:
            case.trailers = (("x-sum", "1"), ("X-Trailer", "two"))
            case.fields.append(("Trailer", "x-sum"))
