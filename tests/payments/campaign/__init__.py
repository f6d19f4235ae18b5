"""The crash campaign: many clients pay while servers, connections and databases fail at random.

README.md in this folder says what it proves, how to run it, and how to read a failure.
"""
