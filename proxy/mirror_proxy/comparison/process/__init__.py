"""Comparer: the one process that lays answers side by side, at the lowest priority, so that nobody waits for it.

Workers write pairs into a pipe that drops when it is full; `intake` reads them as long as there is room, `desk` takes
one after another: `compare` finds how they differ, `book` counts that, `picker` says which are worth keeping.
`keeper` writes counts and examples into the `store` once a second, with `memory` for what is not written yet, or
cannot be; `answer` keeps what is told within bounds. `process` ties them together and speaks with the supervisor.
"""
