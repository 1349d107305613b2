"""Which intermediates are revoked, according to the CRLs that they name and the lists in the settings.

`update` finds this out, for a refresh. `record.reader` tells what is known, for everything else.
"""
