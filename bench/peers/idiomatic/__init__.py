"""The portal as a good team would write it with Strawberry over our SQLAlchemy models.

Types with resolvers, DataLoaders for related rows, one session per request. It has as much of the
schema as the benchmark needs, and takes the domain's rules from `billing`.
"""
