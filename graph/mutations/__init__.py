"""Mutations of the schema: fields, inputs and results."""
