import ssl
import sys
import xmlrpc.client

context = ssl.create_default_context(cafile=sys.argv[2])
print(xmlrpc.client.ServerProxy(f"https://localhost:{sys.argv[1]}/", context=context).say())
