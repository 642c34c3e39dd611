"""Tests of security: encryption, authentication, permissions, and secrets that are never printed.

- test_access_settings: settings that contradict each other
- test_entry: who is let in, on a broker with TLS, SASL and ACLs (guarded, secured_topics)
- test_permissions: the least permissions of each role
- test_silence, test_canaries: nothing that is printed, logged or served has a secret or a record's data in it
"""
