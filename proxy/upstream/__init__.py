"""The far side: `cluster` (endpoints, pools, waiting), `connection` (one HTTP/1.1 connection), `resolver`, `tls`.

A primary and a mirror on the same address are two clusters: they share no connection, cap or queue.
"""
