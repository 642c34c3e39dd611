"""Tests of the orders, of order files and of the shop that sends them."""
