import http.client
import ssl
import sys

context = ssl.create_default_context(cafile=sys.argv[2])
connection = http.client.HTTPSConnection("localhost", int(sys.argv[1]), timeout=30, context=context)
connection.request("GET", "/")
print(connection.getresponse().read().decode())
