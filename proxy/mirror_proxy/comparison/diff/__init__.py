"""Compare: two responses to one request in, their differences out; and what is counted and stored of them.

Everything here runs in the comparer's process or in a command, never in a worker; a worker only makes a `Pair`
and writes it into a pipe (`mirror_proxy.comparison.capture`).

The walk of a pair: `differ` reads each body into a `content` (`decoding` undoes its compression, `json_value` reads
JSON, both with bounds) and folds back what the proxy changed in the shadow request (`echo`). Two contents are compared
with `json_differ` (`json_match` finds the items that belong together) or `text_differ` (markup: `texts`), header fields
with `headers`; `shape` recognises identifiers and times. Each adds to the `findings`, which sort the
differences by significance. In JSON a `json_place` knows which `rules` apply to it. `example_builder` makes the example
that is stored of a pair; `redaction` and `known_secrets` remove secrets from it. `record` and `traits` are what
findings are made of; `run` and `totals` are how counts are stored and read.
"""
