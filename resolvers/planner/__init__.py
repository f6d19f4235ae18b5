"""One GraphQL operation, one SQL statement.

Read in this order: later, sources, selection, planner, paging, jsontext, plan, plans, reference.
"""
