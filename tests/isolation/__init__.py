"""Who may reach what: every way to a row, tried by every kind of viewer on everybody's rows.

`households` makes the rows, `sight` says in plain Python who sees which of them, `links` which
fields lead to which rows; `ids`, `ways`, `lists` and `doors` ask; `matrix` holds each answer
against what it should be, and counts. `entrances` signs everybody in by e-mail; `mutations` says
what is to come of an id that a mutation takes, `trying` and `shut` try it, and `rows` tell what was
changed by it. What is expected comes neither from the server's code nor from `tests.oracle`.
"""
