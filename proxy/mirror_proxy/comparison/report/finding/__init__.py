"""Findings: what v2 does differently, one finding for one cause, made of judged fields and of records of pairs.

`change` joins what differs in the same way at several endpoints. `together` finds in the `record_index` which changes
come in the same responses; `grouping` makes a finding of those. `trait` looks for what their requests have in common,
and `consequence` for findings that may only follow from writes that v2 refused. `scope` and `sentence` put it in words.
"""
