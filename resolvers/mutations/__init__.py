"""Resolvers of mutations."""
