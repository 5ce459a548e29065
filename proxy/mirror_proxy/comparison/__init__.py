"""Comparing two responses to one request, in the order a pair walks.

`capture` (in a worker) records both responses and sends them; `process` (the comparer) reads them in the background and
compares them with `diff`; `store` keeps counts and examples; `report` makes figures and pages of them.
"""
