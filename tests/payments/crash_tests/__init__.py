"""Servers killed with `kill -9` at each point of a payment, and the state afterwards.

README.md in this folder says what these tests prove, and how to read a failure.
"""
