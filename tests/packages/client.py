"""A program that knows nothing of aia-store: one request, to the port that it is given, under the given root."""

import ssl
import sys
import urllib.request

context = ssl.create_default_context(cafile=sys.argv[2])
urllib.request.urlopen(f"https://127.0.0.1:{sys.argv[1]}/root.pem", context=context, timeout=30).read()
