import os
import sys

import pycurl

client = pycurl.Curl()
client.setopt(pycurl.URL, f"https://localhost:{sys.argv[1]}/")
# libcurl itself reads no variable, so do what curl does.
client.setopt(pycurl.CAINFO, os.environ["CURL_CA_BUNDLE"])
print(client.perform_rs())
