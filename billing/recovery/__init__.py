"""The recovery of a database that was restored from a backup.

Stripe has the payments since the backup, and the restored rows have not. `identity` and
`lost_payments` distinguish a restored database from one that has only crashed. `recover` adopts
Stripe's objects. It also moves the numbers of documents past those that may have been given out.
"""
