"""Quantities as people write them: durations, sizes, addresses and URLs, turned into numbers and `Address`.

Each function takes the text and returns the value, or raises ValueError with what is wrong with it.
"""

from __future__ import annotations

import math
import re
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

from mirror_proxy.config.model import Address

DURATION_PATTERN = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h)"
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZE_PATTERN = r"([0-9]+)(B|KiB|MiB|GiB)?"
SIZES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
UNIX = "unix://"
#: Of `sun_path`, with a null byte.
MAX_PATH_BYTES = 107
DEFAULT_PORTS = {"http": 80, "https": 443}


def duration(text: str) -> float:
    """Read Go's duration syntax (`1m30s`, `300ms`) as seconds; whole milliseconds only, as in Istio."""
    if text == "0":
        return 0.0
    if not re.fullmatch(rf"(?:{DURATION_PATTERN})+", text):
        example = f"write {text}s" if re.fullmatch(r"[0-9.]+", text) else "write such as 5s, 300ms or 1m30s"
        raise ValueError(f'"{text}" is not a duration; {example}')
    total = 0.0
    for part in re.findall(DURATION_PATTERN, text):
        number = part.rstrip("nuµmsh")
        total += float(number) * SECONDS[part.removeprefix(number)]
    if total == math.inf:
        raise ValueError("is too long for a duration")
    milliseconds = total * 1000
    if abs(milliseconds - round(milliseconds)) > 1e-6:
        raise ValueError("only durations to ms precision are supported")
    return round(milliseconds) / 1000


def size(value: str | int) -> int:
    """Read a size in bytes: a plain number, or one with B, KiB, MiB or GiB."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(SIZE_PATTERN, value)
    if not found:
        raise ValueError(f'"{value}" is not a size; write such as 65536, 64KiB or 1MiB')
    return int(found[1]) * SIZES[found[2]]


def address(text: str) -> Address:
    """Read `HOST:PORT` of a listener; an IPv6 literal is in brackets, port 0 is any free port."""
    parts = _split(f"//{text}")
    if parts is None or parts.netloc != text or parts.port is None or not parts.hostname or "@" in text:
        raise ValueError(
            f'"{text}" is not HOST:PORT; write such as 0.0.0.0:8080, 127.0.0.1:9901 or [::]:8080'
        )
    return Address(parts.hostname, parts.port)


def listener_address(text: str) -> Address:
    """Read `HOST:PORT`, or `unix://PATH`."""
    return unix_address(text) if text.startswith(UNIX) else address(text)


def unix_address(text: str) -> Address:
    """Read `unix://PATH`, or `unix://@NAME` of an abstract unix socket (Linux)."""
    path = text.removeprefix(UNIX)
    if not path.startswith("@") and (not path.startswith("/") or path.endswith("/")):
        raise ValueError(f'"{text}" has no absolute path to a file; write such as unix:///run/app.sock')
    if "\0" in path or not 1 < len(path.encode()) <= MAX_PATH_BYTES:
        raise ValueError(f'"{text}" is not the path of a unix socket; it has 2 to {MAX_PATH_BYTES} bytes')
    return Address(path, 0)


def network(text: str) -> str:
    """Read an IP network, such as `10.0.0.0/8`, or one address."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        try:
            hint = str(ip_network(text, strict=False))
        except ValueError:
            hint = "such as 10.0.0.0/8 or fd00::/8"
        raise ValueError(f'"{text}" is not a network; write {hint}') from error


def upstream_url(text: str) -> tuple[str, Address]:
    """Read the URL of an upstream: scheme and where it is. The port defaults to 80 or 443; a unix socket has none."""
    if "://" not in text:
        raise ValueError(f'"{text}" has no scheme; write http://{text}')
    if text.startswith(UNIX):
        return "unix", unix_address(text)
    parts = _split(text)
    if parts is None or not parts.hostname or parts.port == 0:
        raise ValueError(f'"{text}" is not a URL; write such as http://v1:8080 or http://[::1]:8080')
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f'the scheme of "{text}" is not one of http, https, unix')
    if "@" in parts.netloc:
        raise ValueError("credentials have no place in an upstream's URL: every process list would show them")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        origin = f"{parts.scheme}://{parts.netloc}"
        raise ValueError(
            f'"{text}" names more than a server: each request keeps its own path; write {origin}'
        )
    return parts.scheme, Address(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])


def _split(text: str) -> SplitResult | None:
    """Split a URL, or return None when its brackets or its port are malformed."""
    if re.search(r"[\s\x00-\x1f]", text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # checked only when it is asked for
    except ValueError:
        return None
    return parts


def endpoint(text: str) -> tuple[str, str, Address]:
    """Read `HOST[/SUBSET]=ADDRESS:PORT` as host, subset (or empty) and address."""
    name, found, where = text.partition("=")
    host, _, subset = name.partition("/")
    if not (found and host) or name.endswith("/"):
        raise ValueError(f'"{text}" is not HOST[/SUBSET]=ADDRESS:PORT; write such as shop/v2=127.0.0.1:8082')
    at = address(where)
    if at.port == 0:
        raise ValueError(f'"{text}": port 0 leads nowhere')
    return host, subset, at


def namespace(text: str) -> str:
    """Read the name of a Kubernetes namespace."""
    if not re.fullmatch(DNS_LABEL, text):
        raise ValueError(f'"{text}" is not the name of a namespace')
    return text


def host_match(text: str) -> str:
    """Read how hosts are matched."""
    if text not in {"auto", "strict"}:
        raise ValueError(f'"{text}" is not one of auto, strict')
    return text


def port(number: int) -> int:
    """Read a port number."""
    if not isinstance(number, int) or not 1 <= number <= 65535:
        raise ValueError(f"port number {number} must be in the range 1..65535")
    return number


def labels(text: str) -> tuple[tuple[str, str], ...]:
    """Read `K=V,K=V`."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(key and mark for key, mark, _ in pairs):
        raise ValueError(f'"{text}" is not a list of labels; write such as app=shop,version=v1')
    return tuple((key, value) for key, _, value in pairs)


def gateway(text: str) -> str:
    """Read `mesh` or `NAMESPACE/GATEWAY`."""
    if text != "mesh" and not re.fullmatch(f"{DNS_LABEL}/{DNS_LABEL}", text):
        raise ValueError(f'"{text}" is neither mesh nor NAMESPACE/GATEWAY')
    return text
