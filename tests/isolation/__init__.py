"""Who may reach what: every way to a row, tried by every kind of viewer on everybody's rows.

`households` makes the rows, `sight` says in plain Python who sees which of them, `links` which
fields lead to which rows; `ids`, `ways`, `lists` and `doors` ask; `matrix` holds each answer
against what it should be, and counts. What is expected comes neither from the server's code nor
from `tests.oracle`.
"""
