"""Identity: tokens, and signing in by e-mail. It knows neither GraphQL nor HTTP.

A request for a mail is one row, for every address alike (`requesting`, limited by `limits`). A
background worker (`answering`, `outbox`) finds the `people` with this address, creates a link and a
code for each practice (`linking`, `codes`) and mails them (`letters`, `post`). Either one signs in
(`entering`). A sign-in can be switched between people with the same address (`switching`), and
ended by its person (`ending`) or by an operator (`sessions`).
"""
