"""Peers in Python whose libraries make the statements: strawchemy, and strawberry-django with its
optimizer.

They run in an environment of their own (`make bench-peers`). Their models are the views of
`../node/postgraphile.sql`, since neither library computes sums of other tables for each row.
"""
