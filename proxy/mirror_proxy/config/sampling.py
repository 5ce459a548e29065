"""Sampling: how a request is drawn, for its destination and its mirrors: at random, or by a sticky key.

Exact sampling leaves the destination to chance; its mirrors are drawn in a fixed order (see `mirror.sampling`).
"""

from __future__ import annotations

import re

from mirror_proxy.config.model import HashKey, Share
from mirror_proxy.config.schema import Choice, Either, Field, Record, Scalar

CLIENT_IP = "clientIp"
KINDS = ("header", "cookie", "query")
LEAST = 0.0001
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f'"{text}" is no name of a header, cookie or query parameter')
    return text


def _share(percent: float) -> Share:
    if percent != 0 and not LEAST <= percent <= 100:
        raise ValueError(f"must be 0, or in the range {LEAST}..100 (it is {percent})")
    return Share(int(percent), 100) if percent == int(percent) else Share(round(percent * 10_000), 1_000_000)


def _key(**given: str) -> HashKey:
    if len(given) != 1:
        raise ValueError(f"one of {', '.join(KINDS)} is needed, and no more (there are {len(given)})")
    [(kind, name)] = given.items()
    return HashKey(kind, name.lower() if kind == "header" else name)


#: A percentage, in steps of a ten-thousandth.
SHARE = Scalar(("number", "integer"), _share, {"type": "number", "minimum": 0, "maximum": 100})
KEY = Record(_key, tuple(Field(kind, kind, Scalar(("string",), _name)) for kind in KINDS), is_whole=True)
STICKY = Either({"string": Choice({CLIENT_IP: HashKey("source_ip")}), "object": KEY})
#: As settings. Requests with the same key get the same destination and mirrors; those without one are random.
SAMPLING = Either(
    {
        "string": Choice({"random": {}, "exact": {"exact": True}}),
        "object": Record(dict, (Field("sticky", "sticky", STICKY, "By whom.", required=True),)),
    }
)
