"""Judge of kept answers: servers with the cache answer as one without it, byte for byte.

README.md in this folder says what it proves, and how to read a failure.
"""
