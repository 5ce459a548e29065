"""Capture: two answers to one request, kept by reference until both are there, then handed to the comparer.

A request that is captured has one `Capture`, the answer of its primary and of each shadow one `Recording`; what
decides is a route's `Captures`, and where it all ends is the worker's `Outlet`. Nothing here waits, reads a body or
compares: what does not fit is dropped and counted.
"""
