"""mirror-proxy: a reverse proxy that copies requests to mirrors, and lets no mirror hurt a client.

Floors. A row may import from any row below it, never from one above:

    cli
    demo
    supervisor
    admin  worker  comparer          neighbours; they speak only through control
    control  explanation
    dataplane                        one worker's sockets, clusters and counters
    journal  census  tracer          what is written and read of requests
    exchange                         the life of one request
    detour                           what is done before a request is sent on, or in place of that
    admission  forwarding  retrying  who copies it; what each side is sent; whether it is tried again
    snapshot  tunnel                 the compiled configuration; an upgraded connection
    route  holdings                  one route, compiled; what a worker holds for longer than a snapshot
    capture  ramp                    two answers to one request, on their way to the comparer; a plan to send more
    mirror  advice  report  store
    routing  upstream  downstream  translate  compare    neighbours; none imports another
    config  runtime  telemetry  flow  backlog  tasks  clock  descriptors  version  template
    event                            what a log line says: fixed words, then key=value
    pattern  visible                 regular expressions in RE2's syntax; text in which nothing is hidden
    http1                            no asyncio, no clock, no I/O
    errors

The walk of one request, to be read in this order:

     1. `downstream.connection` is given bytes; `http1.request` reads a head or refuses it.
     2. `exchange` begins with the present `snapshot`, and ends with the same one.
     3. `routing.table` finds the route; one draw, of chance or of who asks (`routing.sticky`), picks the
        destination (`routing.split`) and serves all mirrors.
     4. `detour`: what redirects or answers by itself does so here; a fault, a preflight. The rest is sent on.
     5. `forwarding` makes the changes that route and destination want.
     6. `upstream.cluster` takes a kept connection to an endpoint (`upstream.balancer`) or makes one; the head goes out.
     7. `admission` asks each mirror: `mirror.policy` admits the request, or names the outcome that says why not.
     8. `mirror.request` writes the copy's head, and `mirror.shadow` sends it, on connections of its own.
     9. Pieces of the body go to the primary, and by reference to each shadow that keeps up.
    10. `retrying` follows an attempt that failed with another, until something has gone to the client; no mirror is
        asked again.
    11. The primary's response flows back; pressure from the client slows it, nothing from a mirror does.
    12. `exchange` finishes exactly once: it counts (`telemetry.stats`), writes to the `journal`, and where traces go
        somewhere, `tracer` makes spans of it.
    13. Each shadow ends by itself, with exactly one outcome; its reply is read and dropped. Of a request that is
        captured (`capture`) both answers are kept, and go to the comparer once both have ended.

The walk of a configuration: `config` reads documents and flags into one frozen `config.model`, or tells every
problem; `supervisor` sends it to each `worker` through `control`; `snapshot` compiles it and takes over what
`holdings` keep. Weights, percents and pauses that an operator sets while the proxy runs are `runtime` overrides. For
people, `advice` tells what a configuration does, `explanation` what it does to one request, `translate` how others
say it.

The walk of a pair, two answers to one request: `capture` sends it into a pipe that drops when it is full;
`comparer` reads it in its own time, has `compare.differ` find how the two differ, counts that (`compare.totals` has the
families) and writes it to the `store`. A `report`, on the terminal or on the page, makes figures of the totals; there
`compare.noise` holds each field against pairs of one version. A `ramp` is judged by the same figures, step by step, and
`supervisor.ramp` carries it out.

Start with `exchange`, then `mirror.shadow`; `config.model` is the contract between configuration and data
plane. The version is the installed distribution's (`importlib.metadata`), and stands in pyproject.toml only.
"""
