"""Tests of the served pages in a real browser."""
