"""The portal as a good team would write it with Strawberry over our SQLAlchemy models.

Types with resolvers, DataLoaders for what stands beside rows, one session a request. It knows as
much of the contract as the bench asks, and takes the domain's rules from `billing`.
"""
