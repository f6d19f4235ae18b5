"""Ids of trusted documents in GraphQL requests, and the texts that they stand for.

Two ways of asking are known: `documentId` of GraphQL over HTTP, and `extensions.persistedQuery` of
Apollo's clients, whose messages of errors clients compare.
"""

from dataclasses import dataclass
from typing import Any

from execution.trusted_documents import HASH_PREFIX, TrustedDocuments, text_hash
from server.http.errors import HTTPError, RequestError, bad

# The version of Apollo's protocol, and the message by which its clients send the text instead.
VERSION = 1
NOT_FOUND, NOT_SUPPORTED = "PersistedQueryNotFound", "PersistedQueryNotSupported"


@dataclass(frozen=True, slots=True)
class RequestedId:
    """The id that a request asks with. `is_apollos` says that it came as a persisted query."""

    id: str
    is_apollos: bool = False


def requested_id(document_id: Any, extensions: Any) -> RequestedId | None:
    """Return the id in the two fields of a request, or None if it asks with a text only."""
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if document_id is not None and not isinstance(document_id, str):
        raise bad("documentId is the id of a document")
    if persisted is None:
        return None if document_id is None else RequestedId(document_id)
    hash_ = apollos_hash(persisted)
    if document_id is None:
        return RequestedId(hash_, is_apollos=True)
    if document_id.removeprefix(HASH_PREFIX) != hash_:
        raise mismatch("documentId and extensions.persistedQuery ask for two documents")
    return RequestedId(document_id)


def apollos_hash(persisted: Any) -> str:
    """Return the id in `extensions.persistedQuery`."""
    hash_ = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(hash_, str):
        raise bad("extensions.persistedQuery is an object with version and sha256Hash")
    version = persisted.get("version")
    if type(version) is not int or version != VERSION:
        raise bad(f"extensions.persistedQuery has the version {VERSION}")
    return hash_


def document_text(query: Any, requested: RequestedId | None, documents: TrustedDocuments) -> str:
    """Return the text of the document that a request asks for, by its text, an id or both."""
    if query is None and requested is not None:
        text = documents.find(requested.id)
        if text is None:
            raise unknown_document(requested, documents)
        return text
    if not isinstance(query, str):
        raise bad("query is the text of a GraphQL document, or documentId the id of a trusted one")
    if requested is not None:
        check_agreement(query, requested, documents)
    if not documents.allows(query):
        raise HTTPError(403, "UNTRUSTED_DOCUMENT", "this server answers its trusted documents only")
    return query


def check_agreement(query: str, requested: RequestedId, documents: TrustedDocuments) -> None:
    """Refuse a text with an id that is not its own.

    Nothing is stored: the text of an unknown hash is answered as a text alone is.
    """
    text = documents.find(requested.id)
    if text is None and requested.id.removeprefix(HASH_PREFIX) == text_hash(query):
        return
    if text != query:
        raise mismatch("the id is not the one of the text: send one of them")


def mismatch(message: str) -> HTTPError:
    return HTTPError(400, "DOCUMENT_MISMATCH", message)


def unknown_document(requested: RequestedId, documents: TrustedDocuments) -> HTTPError:
    """Return the error for an id without a text.

    Apollo's clients then send the text. Where there are no documents at all, they learn to send no
    more ids.
    """
    if requested.is_apollos and not documents.texts:
        return RequestError("PERSISTED_QUERY_NOT_SUPPORTED", NOT_SUPPORTED)
    message = NOT_FOUND if requested.is_apollos else "no trusted document has this id"
    return RequestError("PERSISTED_QUERY_NOT_FOUND", message)
