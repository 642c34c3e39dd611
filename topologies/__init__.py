"""What flows: one file per stream graph."""
