"""The far side: `cluster` (endpoints, pools, waiting), `balancer` (which endpoint), `connection` (one in HTTP/1.1).

`resolver` keeps addresses current, which `lookup` finds; `outlier` leaves out endpoints that fail, `retry` says what
is worth another try, `tls` whom to trust; `unix` connects to unix sockets. A primary and a mirror on the same address
are two clusters: they share no connection, cap or queue.
"""
