"""Istio's dialect: one module per kind, and the names they share."""
