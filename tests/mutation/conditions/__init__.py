"""Conditions: the SQL of the adapter with one condition left out at a time, and which test notices.

A condition is a line of a SQL file that begins with WHERE or AND: a guard under which a row is written, a line that
keeps two hosts apart, or what finds rows by an index alone. Each is judged by the contract suites and the adapter's
own tests on a real server, until one fails. `reading` finds the conditions, `left_out` leaves one out in a run of
pytest, `judging` plays one.

`python -m tests.mutation.conditions --help` does all of it.
"""
