"""Numbers: exact to compare with, short to read."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal


def exact(value: float) -> Decimal:
    """The number as people write it, so that 0.95 - 0.945 is exactly 0.005 and a bound that is met exactly is met."""
    return Decimal(repr(float(value)))


def number(value: float | Decimal | None, digits: int = 4) -> str:
    """A number for people: "0.9134", "41.2", "1,250,000"; "no data" for None.

    At most `digits` significant digits, but never fewer than its whole part has; no exponent unless the number is
    smaller than a billionth or a quadrillion and more.
    """
    if value is None:
        return "no data"
    given = value if isinstance(value, Decimal) else exact(value)
    if not given.is_finite():
        return str(given)
    if given == 0:
        return "0"
    whole = max(given.adjusted() + 1, 0)
    rounded = Context(prec=max(digits, whole), rounding=ROUND_HALF_EVEN).plus(given).normalize()
    if not -9 <= rounded.adjusted() < 15:
        rounded = Context(prec=digits).plus(given).normalize()
        digits_text = "".join(str(digit) for digit in rounded.as_tuple().digits)
        fraction = f".{digits_text[1:]}" if digits_text[1:] else ""
        return f"{'-' if rounded < 0 else ''}{digits_text[0]}{fraction}e{rounded.adjusted()}"
    return f"{rounded:,f}"


def apart(*values: float | Decimal) -> list[str]:
    """Several numbers for one sentence: with as many digits as it takes for different ones to read differently."""
    exactly = [value if isinstance(value, Decimal) else exact(value) for value in values]
    for digits in range(4, 18):
        texts = [number(value, digits) for value in exactly]
        if len(set(texts)) == len(set(exactly)):
            break
    return texts
