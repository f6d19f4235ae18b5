"""Faults of the database, the network and the clients, injected while the portal serves."""
