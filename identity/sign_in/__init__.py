"""Signing in by e-mail."""
