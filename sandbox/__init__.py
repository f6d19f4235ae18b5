"""A double of Stripe's API, for where there is no account and no network.

It speaks the calls that this project makes, as Stripe's SDK makes them, and keeps its objects in a
file of its own. It imports nothing of the portal: to the portal it is a remote system.
"""
