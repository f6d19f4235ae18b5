"""Who somebody is: tokens, and signing in by e-mail. No GraphQL, no HTTP.

A request for a mail is one row, for every address alike (`requesting`, counted by `limits`). A
worker beside the requests (`answering`, `outbox`) finds the `people` of this address, makes a link
and a code in each practice (`linking`, `codes`) and sends them (`letters`, `post`). Either signs in
(`entering`). A sign-in is switched between people of one address (`switching`), and ended by them
(`ending`) or by an operator (`sessions`).
"""
