"""What can be proved of a run from its topics alone: recordings of them, and a checker of invariants."""
