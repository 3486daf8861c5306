"""What Baton keeps of a version (`core.registration` holds to the same), and whether a foreign text fits."""

from __future__ import annotations

import unicodedata

NAME_LIMIT, METRICS_LIMIT, URI_LIMIT, DIGEST_LIMIT, DATA_LIMIT, TAGS_LIMIT = 200, 500, 2_000, 200, 100, 100


def unfit(text: str, limit: int, named: bool = False) -> bool:
    """True for what registration would refuse: too long, of several lines, or (`named`) no name at all."""
    seen = any(unicodedata.category(char) != "Cf" and not char.isspace() for char in text)
    if named and (not seen or text != text.strip() or text in (".", "..")):
        return True
    return len(text) > limit or any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in "\ufffe\uffff" for char in text
    )
