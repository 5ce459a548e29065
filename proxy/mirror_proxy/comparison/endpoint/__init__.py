"""Endpoint: what a request asks for, as a text that many requests share: `GET /shop/{}`, `POST /graphql addToCart`.

Differences are counted and judged by endpoint. `EndpointNames` names it in the comparer, by the request's `path` and
`operation`; readers of totals `fold` those endpoints together that turned out to be things of one kind.
"""

from __future__ import annotations

from mirror_proxy.comparison.endpoint.endpoint_names import EndpointNames

__all__ = ["EndpointNames"]
