"""Which intermediates are revoked: by the CRLs that they name, and by the lists that were set.

`update` asks, for a refresh; `record.reader` tells what is known, for everybody else.
"""
