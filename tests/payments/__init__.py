"""Tests of payments, cards on file, refunds and disputes."""
