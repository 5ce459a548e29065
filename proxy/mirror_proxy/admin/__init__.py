"""The admin server: what people, probes and Prometheus ask a running proxy."""
