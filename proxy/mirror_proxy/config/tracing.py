"""The settings of tracing: where spans go, and which requests are sampled."""

from __future__ import annotations

from urllib.parse import urlsplit

from mirror_proxy.config.model import Tracing
from mirror_proxy.config.sampling import SHARE
from mirror_proxy.config.schema import Choice, Either, Field, Record, Scalar


def _collector(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError(f'"{url}" is no URL of a collector; write such as http://otel:4318')
    if "@" in parts.netloc:
        raise ValueError(
            "credentials have no place in a collector's URL; OTEL_EXPORTER_OTLP_HEADERS holds them"
        )
    return url


TRACING = Record(
    Tracing,
    (
        Field(
            "otlpEndpoint",
            "otlp_endpoint",
            Scalar(("string",), _collector),
            "An OTLP/HTTP collector, such as http://otel:4318.",
            "",
        ),
        Field(
            "sample",
            "share",
            Either(
                {
                    "string": Choice({"parent": Tracing().share}, besides="a percentage"),
                    "number": SHARE,
                    "integer": SHARE,
                }
            ),
            "Which requests: those whose sender says so (parent), and this percentage of the others.",
            "parent",
        ),
    ),
)
