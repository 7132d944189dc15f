"""The kernel's own campaign: random flows, clients and faults, one seed after the other, on real hosts in virtual time.

`python -m tests.simulation.campaign --help` plays it; a seed that fails prints the line that plays it again.
"""
