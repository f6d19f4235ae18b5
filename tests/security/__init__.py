"""Tests of the rights to see data and to change it."""
