"""A double of Stripe's API, for machines without an account or a network.

It implements the calls that this project makes with Stripe's SDK, and stores its objects in a file
of its own. It imports no other package of the project: to the portal it is a remote system.
"""
