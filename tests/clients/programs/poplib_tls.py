import poplib
import ssl
import sys

context = ssl.create_default_context(cafile=sys.argv[2])
print(poplib.POP3_SSL("localhost", int(sys.argv[1]), timeout=30, context=context).noop()[1:].decode().lower())
