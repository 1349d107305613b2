"""Do what get.py does, with `aia`, for a server that forgets its intermediate."""

import sys

from aia import AIASession

sys.exit(AIASession().download(sys.argv[1]) != b"ok")
