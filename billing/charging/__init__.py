"""Charging a card exactly once: the steps of a payment, and what brings it to rest after a crash.

Money only moves on a PaymentIntent whose id is committed here already:

  T1  begin     the payment and its claims are written, or it is refused
  A   create    an unconfirmed PaymentIntent, which can't move money
  T2  announce  its id is written, if nobody has given the payment up meanwhile
  B   confirm   the one call that moves money
  T3  fold      what Stripe says of it is written: state, ledger, receipt, claims released

After a decline the PaymentIntent is cancelled first (the fence), and only then are the invoices
free. Whatever stops between two steps is brought to rest by the same request sent again, by a
webhook, or by the reconciler, which only reads and cancels.
"""
