"""Which intermediates are revoked, according to the CRLs that they name and the lists in the settings.

A refresh finds this out with `update`. Everything else reads, with `record.reader`, what the last refresh noted.
"""
