"""Tests of the writers: their rows, their refusals, and the agreement of memory and database."""
