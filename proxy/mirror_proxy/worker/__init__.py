"""One worker process: `worker` speaks with the supervisor, `data_plane` serves.

`counters`, `records` (of the access log) and `spans` are what the worker reports of requests.
"""
