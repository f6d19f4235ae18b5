"""The ids that mutations take, and what of a result leads to rows: probed by test_paying_sight."""

# Each argument with an id in it, by what of a client's it names.
CHANGERS = {
    "Mutation.cancelPayment(input.paymentId:)": "payment",
    "Mutation.pay(input.clientId:)": "client",
    "Mutation.pay(input.invoiceId:)": "invoice",
    "Mutation.pay(input.source.paymentMethodId:)": "card",
    "Mutation.refreshPayment(input.paymentId:)": "payment",
}

# A result leads to the payment that the request was about, and to its client.
RESULTS = {
    ("Mutation", "cancelPayment"),
    ("Mutation", "pay"),
    ("Mutation", "refreshPayment"),
    ("CardDeclined", "payment"),
    ("PayCanceled", "payment"),
    ("PayProcessing", "payment"),
    ("PayRequiresAction", "payment"),
    ("PaySucceeded", "client"),
    ("PaySucceeded", "payment"),
    ("PaymentInProgress", "payment"),
}
