"""What get.py does, against a server that forgets its intermediate, by `aia`."""

import sys

from aia import AIASession

sys.exit(AIASession().download(sys.argv[1]) != b"ok")
