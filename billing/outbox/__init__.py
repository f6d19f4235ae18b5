"""Events about changes, and their delivery to the practice's other systems by webhooks.

`recording` writes the events of a version in the transaction of the change. `delivery` sends them
to the practice's endpoints in their order, each at least once.
"""
