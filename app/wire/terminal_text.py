"""Makes untrusted text safe to print."""

from unicodedata import category


def printable(text: str) -> str:
    """The text on one line: control characters and others that a terminal might interpret are escaped."""
    return "".join(letter if _is_visible(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _is_visible(letter: str) -> bool:
    return letter.isprintable() or category(letter) == "Zs"
