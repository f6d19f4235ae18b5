"""The isolation matrix: each way to a row, tried by each kind of viewer on rows of all owners.

README.md in this folder says what it proves, and how to read a failure.
"""
