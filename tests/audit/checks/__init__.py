"""Checks: one missing, doubled or changed record is found, and the accounts of participants are right."""
