"""The audit: good runs break no invariant, and every recording that was tampered with breaks the right one."""
