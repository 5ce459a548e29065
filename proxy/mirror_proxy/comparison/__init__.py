"""Comparing two responses to one request, in the order a pair walks.

`capture` (in a worker) keeps both responses and sends them; `process` (the comparer) reads them in its own time and has
`diff` find how they differ; `store` keeps counts and examples; `report` makes figures and pages of them.
"""
