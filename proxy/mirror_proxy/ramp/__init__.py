"""Ramp: raise a mirror's percent, or the weight of a route's destination, step by step, with guards that stop it.

`plan` reads what a ramp does, of which `target`, and with which `guard`s. `run` carries one plan out, through the
`override` that it sets. `manager` has all ramps of a proxy; the supervisor gives it what a ramp reads.
"""
