"""Explanation: show what would become of one request by sending it.

`request` parses it from the command line. `trial` sends it through a real data plane in this process, on loopback, with
recorders in place of upstreams. `explanation` finds the route with the real table and tries each of its destinations;
`text` renders the result. Nothing here matches, rewrites or mirrors by itself.
"""
