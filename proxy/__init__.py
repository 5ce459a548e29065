"""mirror-proxy: a reverse proxy that copies requests to mirrors, and lets no mirror hurt a client.

Floors. A row may import from any row below it, never from one above:

    cli
    demo
    supervisor
    admin  worker                    neighbours; they speak only through control
    control  explanation
    dataplane                        one worker's sockets, clusters and counters
    journal  census                  what is written and read of requests
    exchange                         the life of one request
    detour                           what is done before a request is sent on, or in place of that
    admission  forwarding  retrying  who copies it; what each side is sent; whether it is tried again
    snapshot  tunnel                 the compiled configuration; an upgraded connection
    route  holdings                  one route, compiled; what a worker holds for longer than a snapshot
    mirror  advice
    routing  upstream  downstream  translate    neighbours; none imports another
    config  runtime  telemetry  flow  tasks  clock  version
    pattern                          regular expressions in RE2's syntax
    http1                            no asyncio, no clock, no I/O
    errors

The walk of one request, to be read in this order:

     1. `downstream.connection` is given bytes; `http1.request` reads a head or refuses it.
     2. `exchange` begins with the present `snapshot`, and ends with the same one.
     3. `routing.table` finds the route; one random draw serves its destinations and its mirrors.
     4. `upstream.cluster` takes a kept connection to the primary, or makes one; the head goes out.
     5. `mirror.policy` admits the request to each mirror, or names the outcome that says why not.
     6. `mirror.request` writes the copy's head, and `mirror.shadow` sends it, on connections of its own.
     7. Pieces of the body go to the primary, and by reference to each shadow that keeps up.
     8. The primary's response flows back; pressure from the client slows it, nothing from a mirror does.
     9. `exchange` finishes exactly once: it counts (`telemetry.stats`) and writes to the `journal`.
    10. Each shadow ends by itself, with exactly one outcome; its reply is read and dropped.

Start with `exchange`, then `mirror.shadow`; `config.model` is the contract between configuration and data
plane. The version is the installed distribution's (`importlib.metadata`), and stands in pyproject.toml only.
"""
