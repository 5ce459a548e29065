"""The admin server: the HTTP API for operators, probes and Prometheus, and the page."""
