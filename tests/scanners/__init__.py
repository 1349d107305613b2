"""`aia-store check`, sslyze and testssl.sh side by side, on servers with twenty kinds of faults: see `__main__`."""
