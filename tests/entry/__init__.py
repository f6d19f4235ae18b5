"""Tests of the writers: what they write, what they refuse, and that memory and database agree."""
