"""Do what get.py does, with `aia-chaser`, for a server that forgets its intermediate."""

import sys
import urllib.request

from aia_chaser import AiaChaser

context = AiaChaser().make_ssl_context_for_url(sys.argv[1])
with urllib.request.urlopen(sys.argv[1], context=context) as response:
    sys.exit(response.read() != b"ok")
