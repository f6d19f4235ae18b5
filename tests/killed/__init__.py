"""Servers that are killed (`kill -9`) at a point of a payment, and what is there afterwards."""
