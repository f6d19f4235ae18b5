"""The mutations by which the practice's programs enter data."""

import strawberry

from graph.mutations.entry_inputs import (
    AdjustInvoiceInput,
    AllocateCreditInput,
    ArchiveClientInput,
    GiveCreditInput,
    IssueInvoiceInput,
    IssueStatementInput,
    IssueSuperbillInput,
    LinkContactInput,
    MergeClientsInput,
    RecordPaymentInput,
    RecordRefundInput,
    RecordSessionInput,
    RestoreClientInput,
    ShareDocumentInput,
    UnlinkContactInput,
    UpsertClientInput,
    VoidInvoiceInput,
    WriteOffInput,
)
from graph.mutations.entry_results import (
    ClientEntryResult,
    InvoiceEntryResult,
    PaymentEntryResult,
    SessionEntryResult,
    ShareDocumentResult,
    StatementEntryResult,
    SuperbillEntryResult,
)
from graph.mutations.mutation_field import mutation
from resolvers.field_facts import WRITING
from resolvers.mutations.entries import clients, documents, invoices, payments


@strawberry.type(description="Entries of the practice's programs.")
class EntryMutation:
    upsert_client: ClientEntryResult | None = mutation(
        clients.upsert_client,
        UpsertClientInput,
        "The client.",
        description="Add a client, or change the details of the client that was added with the same"
        " key.",
        scopes=WRITING,
    )

    issue_invoice: InvoiceEntryResult | None = mutation(
        invoices.enter_invoice,
        IssueInvoiceInput,
        "The invoice.",
        description="Issue an invoice: the client owes its lines. An issued invoice never changes;"
        " one below zero is credit at once.",
        scopes=WRITING,
    )

    void_invoice: InvoiceEntryResult | None = mutation(
        invoices.void,
        VoidInvoiceInput,
        "The invoice to void.",
        description="Void an invoice: the client no longer owes it, what was paid of it is unused"
        " credit, and its sessions may be invoiced again.",
        scopes=WRITING,
    )

    record_payment: PaymentEntryResult | None = mutation(
        payments.enter_payment,
        RecordPaymentInput,
        "The payment.",
        description="Record money that was received outside the portal, with a receipt. Nothing is"
        " charged.",
        scopes=WRITING,
    )

    give_credit: ClientEntryResult | None = mutation(
        payments.enter_credit,
        GiveCreditInput,
        "The credit.",
        description="Give a client credit, which stays unused until it is put toward an invoice or"
        " a payment uses it.",
        scopes=WRITING,
    )

    archive_client: ClientEntryResult | None = mutation(
        clients.archive_client,
        ArchiveClientInput,
        "The client.",
        description="Archive a client who has left the practice. The client may still sign in and"
        " pay; lists can leave archived clients out.",
        scopes=WRITING,
    )

    restore_client: ClientEntryResult | None = mutation(
        clients.restore_client,
        RestoreClientInput,
        "The client.",
        description="Take a client out of the archive. A merged client is a client of its own"
        " again; the balance stays where it was carried to.",
        scopes=WRITING,
    )

    merge_clients: ClientEntryResult | None = mutation(
        clients.merge_client,
        MergeClientsInput,
        "The two records.",
        description="Merge two records of one client. What is due of the first, its unused credit"
        " and its uninvoiced sessions go to the other, which is the client of the result. The"
        " first is archived and loses its cards.",
        scopes=WRITING,
    )

    link_contact: ClientEntryResult | None = mutation(
        clients.link_contact,
        LinkContactInput,
        "The contact and the rights.",
        description="Give a parent, guardian or partner rights to a client's bills, in place of"
        " those that the contact had. The contact is added, or changed if the key is known.",
        scopes=WRITING,
    )

    unlink_contact: ClientEntryResult | None = mutation(
        clients.unlink_contact,
        UnlinkContactInput,
        "The contact.",
        description="Take all of a contact's rights to a client's bills away.",
        scopes=WRITING,
    )

    record_session: SessionEntryResult | None = mutation(
        clients.enter_session,
        RecordSessionInput,
        "The session.",
        description="Record a session that took place. The client owes nothing for it before it is"
        " invoiced.",
        scopes=WRITING,
    )

    write_off: InvoiceEntryResult | None = mutation(
        invoices.write_off,
        WriteOffInput,
        "The amount to give up.",
        description="Give up an amount due of an invoice, or all of what is due.",
        scopes=WRITING,
    )

    adjust_invoice: InvoiceEntryResult | None = mutation(
        invoices.adjust,
        AdjustInvoiceInput,
        "The correction.",
        description="Correct what an invoice bills. What was paid beyond its new amount is unused"
        " credit.",
        scopes=WRITING,
    )

    allocate_credit: InvoiceEntryResult | None = mutation(
        invoices.allocate_credit,
        AllocateCreditInput,
        "The credit to use.",
        description="Put a client's unused credit toward an invoice.",
        scopes=WRITING,
    )

    record_refund: PaymentEntryResult | None = mutation(
        payments.enter_refund,
        RecordRefundInput,
        "The refund.",
        description="Record money of a payment that was given back outside the portal: from unused"
        " credit, and beyond it from invoices, which are due again.",
        scopes=WRITING,
    )

    issue_statement: StatementEntryResult | None = mutation(
        documents.enter_statement,
        IssueStatementInput,
        "The statement.",
        description="Issue a statement of a period that is over: a snapshot that ends with the"
        " balance as of its last day.",
        scopes=WRITING,
    )

    issue_superbill: SuperbillEntryResult | None = mutation(
        documents.enter_superbill,
        IssueSuperbillInput,
        "The superbill.",
        description="Issue a superbill with a line for each session of a period.",
        scopes=WRITING,
    )

    share_document: ShareDocumentResult | None = mutation(
        documents.share,
        ShareDocumentInput,
        "The document.",
        description="Share a document that was issued unshared: from now on the client sees it.",
        scopes=WRITING,
    )
