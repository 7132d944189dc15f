"""`python -m fairlead.hosts.cli`: the command where its script is not on the path."""

from . import main

main(prog_name="fairlead")
