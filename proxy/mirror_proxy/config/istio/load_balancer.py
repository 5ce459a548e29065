"""LoadBalancerSettings: which endpoint of a host gets a request.

Sources: istio pkg/config/validation/validation.go (`validateLoadBalancer`),
pilot/pkg/networking/core/route/route.go (`ConsistentHashToHashPolicy`).
"""

from __future__ import annotations

import math
import re
from typing import Any

from mirror_proxy.config.headers import TOKEN
from mirror_proxy.config.istio.fields import Unheeded, go_duration, is_written
from mirror_proxy.config.model import Balancer, HashKey
from mirror_proxy.config.node import Place
from mirror_proxy.config.schema import INVALID, TEXT, Choice, Field, Record, Scalar, whole

PASSTHROUGH = "PASSTHROUGH"
SIMPLE = {
    "UNSPECIFIED": "least_request",
    "LEAST_REQUEST": "least_request",
    "LEAST_CONN": "least_request",
    "ROUND_ROBIN": "round_robin",
    "RANDOM": "random",
    PASSTHROUGH: PASSTHROUGH,
}
HASH_KEYS = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
ONE_OF = "must validate one and only one schema (oneOf): give one of "
MAX_TABLE = 5_000_011
OLD_RING_SIZE = (
    "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead"
)
TOPOLOGY = "has no effect: where endpoints stand is not known here"
WARMUP = "has no effect: a new endpoint gets its whole share at once"


def _balancer(place: Place, simple: str = "least_request", hashed: Balancer | None = None) -> Any:
    """Return what the component says of a Cluster."""
    if is_written(place, "localityLbSetting") and is_written(place, "zoneAwareLbSetting"):
        raise ValueError("only one of localityLbSetting and zoneAwareLbSetting can be set")
    if not is_written(place, "simple"):
        return {"balancer": hashed or Balancer(simple)}
    if is_written(place, "consistentHash"):
        raise ValueError(f"{ONE_OF}simple, consistentHash")
    if simple == PASSTHROUGH:
        place.at("simple").refuse("PASSTHROUGH: a request's original destination is known in a mesh only")
        return INVALID
    if place.at("simple").node.value == "LEAST_CONN":
        place.at("simple").warn("LEAST_CONN is deprecated; write LEAST_REQUEST")
    return {"balancer": Balancer(simple)}


def _hash(place: Place, ring_size: int = 0, **keys: HashKey | None) -> Balancer:
    """Return the balancer; without a key it is a random one, as Envoy's ring then is."""
    written = [key for key in HASH_KEYS if is_written(place, key)]
    if len(written) > 1:
        raise ValueError(ONE_OF + ", ".join(written))
    if is_written(place, "ringHash") and is_written(place, "maglev"):
        raise ValueError(f"{ONE_OF}ringHash, maglev")
    if ring_size and is_written(place, "ringHash", "maglev"):
        raise ValueError("only one of MinimumRingSize or Maglev/Ringhash can be specified")
    if ring_size:
        place.warn(OLD_RING_SIZE)
    key = next(iter(keys.values()), None)
    return Balancer("hash", key) if key else Balancer("random")


def _cookie(name: str = "", path: str = "", ttl_s: float | None = None) -> HashKey:
    if not name:
        raise ValueError("name required for HttpCookie")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"HttpCookie name {name!r} is not a valid cookie name")
    if re.search(r"[\x00-\x1f\x7f;]", path):
        raise ValueError(f"HttpCookie path {path!r} must hold neither semicolons nor control characters")
    return HashKey("cookie", name, ttl_s, path)


def _table_size(size: int) -> int:
    if size == 0:
        raise ValueError("tableSize must be set for maglev")
    if size >= MAX_TABLE:
        raise ValueError(f"tableSize must be less than {MAX_TABLE} for maglev")
    if any(size % factor == 0 for factor in range(2, math.isqrt(size) + 1)):
        raise ValueError("tableSize must be a prime number for maglev")
    return size


SIZE = whole(0, 2**64 - 1)
COOKIE = Record(
    _cookie,
    (
        Field("name", "name", TEXT),
        Field("path", "path", TEXT),
        Field("ttl", "ttl_s", go_duration(0)),
        Field("attributes", "", Unheeded("has no effect: the cookie is set with its path and age only")),
    ),
)
CONSISTENT_HASH = Record(
    _hash,
    (
        Field(
            "httpHeaderName",
            "header",
            Scalar(("string",), lambda name: HashKey("header", name.lower()) if name else None),
        ),
        Field("httpCookie", "cookie", COOKIE),
        Field(
            "useSourceIp",
            "source_ip",
            Scalar(("boolean",), lambda is_used: HashKey("source_ip") if is_used else None),
        ),
        Field(
            "httpQueryParameterName",
            "query",
            Scalar(("string",), lambda name: HashKey("query", name) if name else None),
        ),
        Field("ringHash", "", Record(dict, (Field("minimumRingSize", "", SIZE),), is_proto=True)),
        Field(
            "maglev",
            "",
            Record(dict, (Field("tableSize", "", Scalar(("integer",), _table_size)),), is_proto=True),
        ),
        Field("minimumRingSize", "ring_size", SIZE),
    ),
    placed=True,
    is_proto=True,
)
LOAD_BALANCER = Record(
    _balancer,
    (
        Field("simple", "simple", Choice(SIMPLE)),
        Field("consistentHash", "hashed", CONSISTENT_HASH),
        Field("localityLbSetting", "", Unheeded(TOPOLOGY)),
        Field("zoneAwareLbSetting", "", Unheeded(TOPOLOGY)),
        Field("warmupDurationSecs", "", Unheeded(WARMUP)),
        Field("warmup", "", Unheeded(WARMUP)),
    ),
    placed=True,
    is_proto=True,
)
