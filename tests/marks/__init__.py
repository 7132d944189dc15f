"""Marks: every branch that is there since something goes wrong, and the proofs that reach it.

A mark is a comment behind the line that opens the branch. It names the faults of `docs/generating/fault_register.py`
that the branch recovers from, and says what happens there:

    except CommitUnknown as error:  # recovers 22: the answer to a commit is lost

Production code knows nothing else of it. Whoever wants to know what is reached watches (`watching`): as long as that
lasts, the functions that have marks run the code of the same source with a note in front of each marked branch. So a
mark costs nothing, and what is counted is the branch itself rather than a line nearby.

`python -m tests.marks --help` plays the campaign and the other proofs, and tells which of them reaches which mark.
"""
