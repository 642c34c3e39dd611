"""The sample shop.

- catalogue: its products and currencies
- orders: realistic orders from a seed, with shares that will be refused or repeated
- invalid_orders: records that must become dead letters
- order_files: orders from and to files
- shop_client: sends them all to the orchestrator
"""
