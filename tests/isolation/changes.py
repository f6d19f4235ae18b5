"""The ids that mutations take, and what of a result leads to rows: probed by test_paying_sight, and
with everybody's ids by test_isolation_signed_in."""

# Each argument with an id in it, by what of a client's it names.
CHANGERS = {
    "Mutation.addCard(input.clientId:)": "client",
    "Mutation.addCard(input.setupIntentId:)": "setup",
    "Mutation.cancelPayment(input.paymentId:)": "payment",
    "Mutation.makeDefault(input.paymentMethodId:)": "card",
    "Mutation.pay(input.clientId:)": "client",
    "Mutation.pay(input.invoiceId:)": "invoice",
    "Mutation.pay(input.source.paymentMethodId:)": "card",
    "Mutation.prepareCard(input.clientId:)": "client",
    "Mutation.refreshPayment(input.paymentId:)": "payment",
    "Mutation.removeCard(input.paymentMethodId:)": "card",
    "Mutation.removeCard(input.replacementId:)": "card",
}

# A sign-in has an id, and is asked for by nobody but whose it is: probed by test_sign_ins.
SIGN_INS = {
    "Mutation.revokeSignIn(input.id:)": "sign-in",
    # A person, who is of nobody else's address: probed by test_switching too.
    "Mutation.switchViewer(input.id:)": "identity",
}

# Who signs in, and who ends a sign-in, is shown as who they are.
VIEWERS = {
    ("Mutation", "revokeSignIn"),
    ("Mutation", "signIn"),
    ("Mutation", "signInWithCode"),
    ("Mutation", "switchViewer"),
    ("SignInRevoked", "viewer"),
    ("SignedIn", "viewer"),
    ("Viewer", "identities"),
    ("Viewer", "signIns"),
    ("ViewerSwitched", "viewer"),
}

# A result leads to the payment or card that the request was about, and to its client.
RESULTS = {
    ("Mutation", "addCard"),
    ("Mutation", "makeDefault"),
    ("Mutation", "removeCard"),
    ("CardAdded", "client"),
    ("CardAdded", "paymentMethod"),
    ("CardRemoved", "client"),
    ("DefaultMade", "client"),
    ("DefaultMade", "paymentMethod"),
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
