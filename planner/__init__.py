"""A compiler from one GraphQL operation to one SQL statement.

Reading order: tree, deferred, sources, selection, builder, emitter, pagination, json_text, plan,
fallback_executor. `execution/executor.py` calls it.
"""
