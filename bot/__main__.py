"""`baton`, or `python -m bot`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Terminals that cannot show a character get it spelled out."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # httpx has a command line of its own, and imports rich and pygments for it: slow, 4 MB, and of no use here.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    from bot.cli import app

    app()


if __name__ == "__main__":
    main()
