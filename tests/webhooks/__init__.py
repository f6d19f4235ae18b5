"""Webhooks: events of the outbox, and their delivery to other systems."""
