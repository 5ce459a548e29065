"""Comparer: the one process that compares responses, at the lowest priority, so that no request waits for it.

Workers write pairs into a pipe that drops when it is full. `pair_reader` reads them while it has room; `pair_comparer`
compares one after another, `counts` the differences, and selects which pairs are stored as examples; `record_sampling`
selects records. `run_table` maps each mirror to its run in the store. `store_writer` writes into the `comparison.store`
once a second, from a `memory_store` that is read while there is no database; `query_result` limits the size of results.
`process` starts all of them and speaks with the supervisor.
"""
