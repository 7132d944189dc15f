"""Proof of the tests: each safeguard is switched off, and the campaign has to find out.

`python -m tests.simulation.ablation` plays worlds without one safeguard after the other, and prints which check
convicts it, at which seed, and in how many of a hundred. A safeguard whose absence no world notices is either none, or
lacks a check.
"""
