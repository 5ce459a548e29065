"""Capture: keep two responses to one request by reference until both have ended, then send them to the comparer.

A route's `CapturePolicy` decides which requests are captured. Such a request has one `Capture`, and the response of
its primary and of each shadow one `Recording`; the worker's `PairSender` sends the pairs. Nothing here waits, reads a
body or compares: pairs that do not fit are dropped and counted.
"""
