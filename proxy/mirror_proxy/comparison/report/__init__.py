"""Report: what v2 would have done differently, from totals to a verdict that a pipeline can act on."""
