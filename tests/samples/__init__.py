"""Tests of the sample services, of the orders and of placing them."""
