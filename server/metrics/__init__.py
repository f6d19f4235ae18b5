"""Metrics for Prometheus: what the processes counted, and what waits in the database."""
