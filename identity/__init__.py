"""Identity: tokens, and signing in by e-mail. It knows neither GraphQL nor HTTP.

In `sign_in`, a request for a mail is one row, for every address alike (`request`, limited by
`rate_limits`). A background worker (`worker`, `outbox`) finds the `people` with this address,
creates a link and a code for each practice (`links`, `codes`) and mails them (`email_message`,
`smtp`). Either one signs in (`complete`). A sign-in can be switched between people with the same
address (`switch`), and ended by its person (`sign_out`) or by an operator (`sessions`).
"""
