"""Tests of backups, of restored databases and of their recovery."""
