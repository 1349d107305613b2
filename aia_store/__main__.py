"""`python -m aia_store` is `aia-store`."""

from .cli import main

main()
