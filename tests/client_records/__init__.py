"""Tests of a client's record: export, merge and erasure."""
