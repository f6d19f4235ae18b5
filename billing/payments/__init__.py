"""Charges of a card, exactly once: the steps of a payment, and its completion after a crash.

Money only moves on a PaymentIntent with an id that is already committed here:

  T1  begin     write the payment and its claims, or refuse it
  A   create    create an unconfirmed PaymentIntent, which can't move money
  T2  announce  write its id, unless the payment was given up in the meantime
  B   confirm   make the one call that moves money
  T3  fold      write Stripe's result: state, ledger, receipt, claims released

After a decline the PaymentIntent is first cancelled (the fence), and only then are the invoices
released. A payment that stops between two steps is completed by the same request sent again, by a
webhook event, or by the reconciler, which only reads and cancels.
"""
