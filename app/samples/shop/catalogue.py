"""The products that the sample shop sells, and the currencies that it accepts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """A product; its price is in euro cents."""

    sku: str
    name: str
    cents: int


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency, its share of orders in percent, and its minor units per euro cent."""

    code: str
    share: int
    minor_per_cent: float


PRODUCTS = (
    Product("COF-1001", "Espresso beans, 1 kg", 1890),
    Product("COF-1002", "Filter coffee, 500 g", 899),
    Product("COF-2001", "Hand grinder", 6900),
    Product("COF-2002", "Moka pot, 6 cups", 3450),
    Product("TEA-1001", "Darjeeling, 250 g", 1249),
    Product("TEA-1002", "Peppermint, 40 bags", 379),
    Product("TEA-2001", "Glass teapot, 1.2 l", 2995),
    Product("KIT-1001", "Bread knife", 4500),
    Product("KIT-1002", "Cutting board, oak", 3900),
    Product("KIT-1003", "Kitchen scale", 2499),
    Product("KIT-1004", "Cast-iron pan, 28 cm", 5490),
    Product("KIT-1005", "Set of 6 tumblers", 1999),
    Product("BOO-1001", "Cookbook: bread", 2800),
    Product("BOO-1002", "Cookbook: one pot", 2200),
    Product("BOO-2001", "Notebook, dotted, A5", 1290),
    Product("BOO-2002", "Wall calendar", 1495),
    Product("GAR-1001", "Basil seeds", 249),
    Product("GAR-1002", "Tomato seeds, old kinds", 329),
    Product("GAR-2001", "Watering can, 5 l", 2150),
    Product("GAR-2002", "Pruning shears", 3799),
    Product("HOM-1001", "Bath towel", 1799),
    Product("HOM-1002", "Beeswax candle", 995),
    Product("HOM-2001", "Desk lamp", 7990),
    Product("HOM-2002", "Wool blanket", 11900),
)

CURRENCIES = (
    Currency("EUR", 80, 1.0),
    Currency("USD", 7, 1.1),
    Currency("GBP", 6, 0.86),
    Currency("CHF", 5, 0.95),
    Currency("JPY", 2, 1.6),  # a yen has no smaller unit
)
