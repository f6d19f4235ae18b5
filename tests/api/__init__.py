"""Tests of the API: reads, limits, errors and HTTP."""
