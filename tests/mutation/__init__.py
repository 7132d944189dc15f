"""Mutation: the kernel with one thing changed at a time, and how many of these changes the tests notice.

mutmut writes the mutants: a comparison turned around, an argument left out, a number one higher. Each is judged by the
tests of the kernel and by the acceptance behaviours on the adapters in memory, those first that are quick, until one
fails. A mutant that no test fails for has survived: what it changes is not asserted anywhere, or makes no difference.

`tree` copies what is needed to a folder of its own, where mutmut finds the four folders as one package; the checkout is
only read. `mutants` knows what mutmut has written there, `drawing` which of it is played, `report` what came of it.

What the score does not speak of: words of messages (a changed text with a blank in it is left out), whatever stands
outside of functions (tables, constants, options of records), and decorated functions such as properties, since mutmut
changes none of these.

`python -m tests.mutation --help` does all of it.
"""
