"""Tests of the planner as a library: its trees, and the example of its README."""
