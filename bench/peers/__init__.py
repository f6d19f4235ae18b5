"""Peers that answer the same operations, each written as a good team would."""
