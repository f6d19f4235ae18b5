"""Who somebody is: tokens, and signing in by e-mail. No GraphQL, no HTTP.

A request for a link is one row, whoever's the address is (`requesting`). Beside the requests a
worker finds out whose it is (`answering`, with `outbox`, `linking`, `letters` and `post`), and what
was sent signs its reader in, once (`entering`).
"""
