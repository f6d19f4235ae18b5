"""Checks of everything that the portal depends on, in plain sentences.

`portal check` makes all of them; `portal serve` makes those of `AT_START` before it serves.
"""
