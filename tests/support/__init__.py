"""Factories, servers and operations that tests share."""
