"""``python -m causeway`` is ``causeway``."""

from .cli import main

main()
