"""Strangers' text, made fit for a terminal."""

from unicodedata import category


def plain(text: str) -> str:
    """The same on one line, with nothing in it that a terminal would obey: escapes stand for what isn't plain."""
    return "".join(letter if _shows(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or category(letter) == "Zs"
