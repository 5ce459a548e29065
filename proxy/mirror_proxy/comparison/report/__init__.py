"""Report: what v2 would have done differently, from totals to a verdict that a pipeline can act on.

`fields` are judged places, `finding` joins them, `figures` and `latency` are rates and times, and `limits` are compared
with these. `report` holds all of them, with `notes`, `hints` and `coverage`; `text`, `document` (JSON), `junit`,
`markdown` and `html` write it. `against` compares two runs.
"""
