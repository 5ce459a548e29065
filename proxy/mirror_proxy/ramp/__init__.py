"""Ramp: more traffic in steps, with guards that stop it; the plan, what it is judged by, and the weights of a step.

Nothing here waits or looks at a clock: `supervisor.ramp` carries a plan out.
"""
