"""Compare: two answers to one request in, their differences out; which of them are noise; what is kept of them.

Everything here runs in the comparer's process or in a command, never in a worker; a worker only makes a `Pair`
and writes it into a pipe (`proxy.capture`).
"""
