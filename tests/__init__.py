"""Tests: one room per room of the product, and one per kind of confidence."""
