"""mirror-proxy: a reverse proxy that copies requests to mirrors, and lets no mirror hurt a client.

Layers. A row imports from rows below it only, and packages in one row never import each other:

    cli                              one module a command: parse, call, print
    demo                             embedded v1 and v2, and some traffic
    supervisor  explain              the process that starts the others; what would happen to one request
    admin  worker  comparison.process
                                     the HTTP API and page; one process with one loop; the comparer
    control  exchange  check  ramp   messages between processes; the life of one request; what a configuration does;
                                     percents and weights that rise step by step
    snapshot  translate              the compiled configuration; how other dialects say it
    comparison.capture  comparison.report
                                     two responses to one request, kept in a worker; figures and pages of many
    mirror  comparison.store  comparison.endpoint
                                     policy, shadow requests and their limits; what was compared, on disk, by run;
                                     which endpoint a request asks for
    routing  upstream  downstream  comparison.diff  comparison.judgement
                                     where two responses differ; which differences are more than noise
    comparison.redaction             which names and forms mark a secret; text without secrets
    tasks  descriptors               background tasks; how many file descriptors each part may use
    telemetry                        counters, metrics, log, access log, traces
    config  overrides  flow  clock  template
    http1  regex  text               HTTP/1.1 without sockets or clock; RE2's syntax; text for people
    errors

Four fifths of this is not on the path of a request: configuration and translation alone are a third.

The walk of one request, to be read in this order:

     1. `downstream.connection` is given bytes; `http1.request` reads a head or refuses it.
     2. `exchange.exchange` begins with the present `snapshot`, and ends with the same one.
     3. `routing.table` finds the route; one draw, random or of the sticky key (`routing.sticky`), picks the
        destination (`routing.split`) and serves all mirrors.
     4. `exchange.filters` decides on a redirect, a direct response, an injected fault or a preflight.
     5. `exchange.headers` makes the changes that route and destination want.
     6. `upstream.cluster` takes a kept connection to an endpoint (`upstream.balancer`, of those that `upstream.outlier`
        and `upstream.health` leave) or makes one; the head goes out.
     7. `exchange.mirroring` offers the request to each mirror: `mirror.policy` admits it or returns the outcome that
        says why not.
     8. `mirror.request` writes the head of the shadow request, and `mirror.shadow` sends it, on connections of its own.
     9. Pieces of the body go to the primary, and by reference to each shadow that keeps up.
    10. `upstream.retry` decides if a failed attempt is followed by another, which sends the body from
        `exchange.replay`, until something has gone to the client. Mirrors get nothing again.
    11. The primary's response flows back; pressure from the client slows it, nothing from a mirror does.
    12. `exchange.exchange` finishes exactly once: it counts (`telemetry.stats`), writes to the access log
        (`worker.records`), and records spans where traces are exported (`worker.spans`).
    13. Each shadow ends by itself, with exactly one outcome; its response is read and dropped. Of a request that is
        captured (`comparison.capture`) both responses are kept, and go to the comparer once both have ended.

The walk of a configuration: `config` reads documents and flags into one frozen `config.model`, or lists every
problem; `supervisor` sends it to each `worker` through `control`; `snapshot` compiles it and takes over what
`snapshot.state` keeps. Weights, percents and pauses that an operator sets while the proxy runs are `overrides`. For
people, `check` says what a configuration does, `explain` what it does to one request; `translate` writes it in other
dialects.

The walk of a pair, two responses to one request: `comparison.capture` sends it into a pipe that drops when it is full;
`comparison.process` reads it in the background, compares the two with `comparison.diff.differ`, and counts the
differences by endpoint (`comparison.endpoint` names it; `comparison.diff.totals` lists the families). Counts, a sample
of pairs (`comparison.diff.record`) and examples without secrets (`comparison.redaction`) go to the `comparison.store`,
as parts of a run (`comparison.store.runs`). `comparison.report`, on the terminal or on the page, makes figures of the
totals; `comparison.judgement` compares each field with pairs of one version, and `comparison.report.finding` joins what
differs in the same responses. A `ramp` is judged by the same figures, step by step, and `ramp.run` carries it out.

Start with `exchange.exchange`, then `mirror.shadow`; `config.model` is the contract between configuration and data
plane. The version stands in pyproject.toml only.
"""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """Return the version of the installed distribution, `dev` where the package is not installed.

    It is read once: later there may be no file descriptor left to read it with.
    """
    from importlib import metadata  # noqa: PLC0415  importing it takes longer than all else here

    try:
        return metadata.version("mirror-proxy")
    except metadata.PackageNotFoundError:
        return "dev"
