"""Endpoint: what a request asks for, as a text that many requests share: `GET /shop/{}`.

Differences are counted and judged by endpoint. The comparer names it (`endpoint`); workers do not.
"""
