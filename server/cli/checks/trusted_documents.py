"""Check of the manifests of trusted documents."""

import asyncio

from server.cli.checks.check import CheckContext, CheckResult, listed
from server.document_manifest import document_faults, trusted_documents


async def check_trusted_documents(context: CheckContext) -> CheckResult:
    """Check that each document of the manifests can be answered."""
    settings = context.settings
    documents = trusted_documents(settings, has_page=settings.portal_page)
    if not settings.trusted_documents_file:
        return CheckResult.ok("TRUSTED_DOCUMENTS_FILE names no manifest.")
    from server.app import checked_schema

    # Documents by the thousand take some seconds.
    schema = checked_schema(lateral=context.engine.dialect.name == "postgresql")
    if faults := await asyncio.to_thread(document_faults, schema._schema, settings):
        return CheckResult.fatal(listed(faults))
    only = " No others are answered." if documents.only else ""
    return CheckResult.ok(f"{len(documents):,} trusted documents are valid.{only}")
