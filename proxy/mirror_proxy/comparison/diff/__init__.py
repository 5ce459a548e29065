"""Compare: two answers to one request in, their differences out; which of them are noise; what is kept of them.

Everything here runs in the comparer's process or in a command, never in a worker; a worker only makes a `Pair`
and writes it into a pipe (`mirror_proxy.comparison.capture`).

The walk of a pair: `differ` has each body read into a `content` (`decoding` undoes its compression, `json_value` reads
JSON, both with bounds); `body_differ` has two of them compared by `json_differ` or `text_differ`; `header_differ` does
the rest. Each adds to the `findings`. In JSON a `place` knows what the `rules` say about it. `ranking` finds the most
telling difference, and `showing` makes what is kept of a pair, in which `redaction` has left no secrets.
"""
