"""Measure mirror-proxy against Envoy, nginx and a plain aiohttp proxy: `python -m benchmarks`.

The walk: `__main__` picks `scenarios`; `runner` takes each on every proxy in interleaved rounds; `measures`
starts upstreams (`origins`) and one proxy (`proxies`, on flags or on a file of `routes`) afresh and loads it
(`wrk`, `clients`, at a steady `pace`); `results` keeps the figures, `verdict` compares them with those to reach,
`table` prints and `plot` draws them.

`python -m benchmarks.hostile` walks on its own: `attack` starts one proxy beside a hostile `sender` of `payloads` and a
well-behaved `observer`, each a process.

Not part of either walk: `locustfile`, traffic for people.
"""
