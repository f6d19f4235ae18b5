"""The recovery of a database that was restored from a backup.

Stripe has what clients have paid since the backup, and the restored rows have not. `identity` and
`lost_payments` tell a restored database from one that has merely crashed. `recover` adopts what
Stripe has, and moves the numbers of documents past those that may have been given out.
"""
