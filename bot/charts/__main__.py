"""`python -m bot.charts < picture.json > picture.png`. Exit 1 and no picture where it cannot be drawn."""

from __future__ import annotations

import json
import os
import sys

from bot.charts import drawing


def main() -> None:
    """Draw what stands in standard input, after whatever has more of a hurry."""
    os.nice(10)
    sys.stdout.buffer.write(drawing.png(drawing.read(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
