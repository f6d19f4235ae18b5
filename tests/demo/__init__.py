"""Tests of the demo and its data."""
