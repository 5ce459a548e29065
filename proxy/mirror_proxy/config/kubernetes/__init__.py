"""Kubernetes' dialect: Services and the workloads they select, read by `service` into what `registry` looks up.

Everything else in these objects is the cluster's own business, and not checked.
"""
