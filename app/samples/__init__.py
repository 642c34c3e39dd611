"""Sample reservation and payment services, and orders to feed them."""
