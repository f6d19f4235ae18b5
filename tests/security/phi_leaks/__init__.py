"""Requests of a dashboard without `phi:read`, which may not depend on names.

README.md in this folder says what these requests prove, and how to read a failure.
"""
