"""Comparing two responses to one request, in the order a pair walks.

`capture` (in a worker) records both responses and sends them. `process` (the comparer) reads them in the background,
names their `endpoint` and compares them with `diff`; `redaction` removes secrets. `store` stores counts, examples and
records of each run. `judgement` decides by counts which differences are more than noise, and `report` makes findings,
figures and pages of them.
"""
