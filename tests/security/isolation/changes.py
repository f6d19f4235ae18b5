"""Arguments of mutations that are ids, and result fields that lead to rows.

test_paying_sight probes them, and test_isolation_signed_in tries the ids of all owners.
"""

# Each argument with an id, and the kind of the client's row that it names.
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
    "Mutation.shareCard(input.paymentMethodId:)": "card",
    "Mutation.unshareCard(input.paymentMethodId:)": "card",
}

# Entries of the practice's programs, which need a scope of their own.
ENTERED = {
    "Mutation.adjustInvoice(input.invoice.id:)": "invoice",
    "Mutation.allocateCredit(input.invoice.id:)": "invoice",
    "Mutation.archiveClient(input.client.id:)": "client",
    "Mutation.giveCredit(input.client.id:)": "client",
    "Mutation.issueInvoice(input.client.id:)": "client",
    "Mutation.issueInvoice(input.clinician.id:)": "clinician",
    "Mutation.issueInvoice(input.lines.session.id:)": "session",
    "Mutation.issueStatement(input.client.id:)": "client",
    "Mutation.issueSuperbill(input.client.id:)": "client",
    "Mutation.issueSuperbill(input.clinician.id:)": "clinician",
    "Mutation.linkContact(input.client.id:)": "client",
    "Mutation.mergeClients(input.client.id:)": "client",
    "Mutation.mergeClients(input.into.id:)": "client",
    "Mutation.recordPayment(input.client.id:)": "client",
    "Mutation.recordPayment(input.invoice.id:)": "invoice",
    "Mutation.recordPayment(input.portions.invoice.id:)": "invoice",
    "Mutation.recordRefund(input.payment.id:)": "payment",
    "Mutation.recordSession(input.client.id:)": "client",
    "Mutation.recordSession(input.clinician.id:)": "clinician",
    "Mutation.restoreClient(input.client.id:)": "client",
    "Mutation.shareDocument(input.invoice.id:)": "invoice",
    "Mutation.shareDocument(input.statement.id:)": "statement",
    "Mutation.shareDocument(input.superbill.id:)": "superbill",
    "Mutation.unlinkContact(input.client.id:)": "client",
    "Mutation.upsertClient(input.clinician.id:)": "clinician",
    "Mutation.voidInvoice(input.invoice.id:)": "invoice",
    "Mutation.writeOff(input.invoice.id:)": "invoice",
}

# A sign-in has an id, and is visible only to its own viewer; test_sign_ins probes it.
SIGN_INS = {
    "Mutation.revokeSignIn(input.id:)": "sign-in",
    # A person of the viewer's own address; test_switching probes it too.
    "Mutation.switchViewer(input.id:)": "identity",
}

# Results that show the viewer.
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

# Results that lead to the payment or card of the request, and to its client.
RESULTS = {
    ("Mutation", "addCard"),
    ("Mutation", "makeDefault"),
    ("Mutation", "removeCard"),
    ("Mutation", "shareCard"),
    ("Mutation", "unshareCard"),
    ("CardAdded", "client"),
    ("CardAdded", "paymentMethod"),
    ("CardRemoved", "client"),
    ("CardShared", "client"),
    ("CardShared", "paymentMethod"),
    ("CardUnshared", "client"),
    ("CardUnshared", "paymentMethod"),
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
    ("ClientEntered", "client"),
    ("SessionEntered", "client"),
    ("SessionEntered", "session"),
    ("StatementEntered", "client"),
    ("StatementEntered", "statement"),
    ("SuperbillEntered", "client"),
    ("SuperbillEntered", "superbill"),
    ("InvoiceEntered", "client"),
    ("InvoiceEntered", "invoice"),
    ("Mutation", "adjustInvoice"),
    ("Mutation", "allocateCredit"),
    ("Mutation", "archiveClient"),
    ("Mutation", "giveCredit"),
    ("Mutation", "issueStatement"),
    ("Mutation", "issueSuperbill"),
    ("Mutation", "linkContact"),
    ("Mutation", "mergeClients"),
    ("Mutation", "recordRefund"),
    ("Mutation", "recordSession"),
    ("Mutation", "restoreClient"),
    ("Mutation", "shareDocument"),
    ("Mutation", "unlinkContact"),
    ("Mutation", "writeOff"),
    ("Mutation", "issueInvoice"),
    ("Mutation", "recordPayment"),
    ("Mutation", "upsertClient"),
    ("Mutation", "voidInvoice"),
    ("PaymentEntered", "client"),
    ("PaymentEntered", "payment"),
}
