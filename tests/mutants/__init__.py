"""Tests of the tests: each plants faults that others must find."""
