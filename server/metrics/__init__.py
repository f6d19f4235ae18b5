"""Metrics for Prometheus: the counts of the processes, and the waiting rows of the database."""
