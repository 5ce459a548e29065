"""Explanation: what would become of one request, shown by making it.

`asked` is the request as it was typed. `trial` sends it through a real data plane in this process, on loopback,
with recorders in the place of upstreams. `verdict` finds the route with the real table and tries each of its
destinations; `telling` puts what was seen into words. Nothing here matches, rewrites or mirrors by itself.
"""
