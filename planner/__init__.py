"""A compiler from one GraphQL operation to one SQL statement.

Reading order: deferred, sources, selection, compiler, pagination, json_text, plan,
fallback_executor. `execution/executor.py` calls it.
"""
