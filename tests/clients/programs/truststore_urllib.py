import os
import ssl
import sys
import urllib.request

import truststore

os.environ["SSL_CERT_FILE"] = sys.argv[2]
truststore.inject_into_ssl()
assert isinstance(ssl.create_default_context(), truststore.SSLContext)
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/", timeout=30).read().decode())
