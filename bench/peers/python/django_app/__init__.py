"""The peer with strawberry-django. Django wants an application, whose models have this place."""
