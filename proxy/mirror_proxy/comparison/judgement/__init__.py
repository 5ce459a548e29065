"""Judge rates by counts: is a difference more than noise, how large is a rate, and how sure is either.

Everything here may be looked at after every request: the stated error is that of all looks together.

    evidence    how strongly counts speak against "the mirror differs no more often than the baseline"
    interval    a rate with the ends of its confidence interval
    place       what is counted of a place of an endpoint, and what is judged of it
    latency     how much slower the mirror is, and how sure that is
    judge       all places of a mirror together: which are reported, noise, or unsure
"""
