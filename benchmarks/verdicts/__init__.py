"""Measure mirror-proxy's verdicts on applications that nobody here wrote: `python -m benchmarks.verdicts`.

A pair is one application in two published versions, with the changes that its changelog lists. The walk:
`__main__` picks `pair`s; `trial` takes each: `installation` builds a virtual environment of each version,
`service` starts v1, a second v1 and v2, `subject` the proxy in front of them; `crawl` follows links and submits forms
(`page`) through the proxy, by decisions of `surfer`; `scoring` matches the findings of the report with the listed
changes; `plain` does the same with a plain diff of the same requests, as a baseline; `table` writes the results.

Changes are committed with their sources before the proxy first runs on a pair. `CONTRIBUTING.md` says how to add one.
"""
