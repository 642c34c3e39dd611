"""Who may come in: encrypted and authenticated clients, access rules, and what is never said aloud."""
