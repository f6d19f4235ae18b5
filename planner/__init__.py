"""A compiler from one GraphQL operation to one SQL statement.

Reading order: later, sources, selection, planner, paging, jsontext, plan, plans, reference.
"""
