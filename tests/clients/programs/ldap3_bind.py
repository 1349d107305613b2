import ssl
import sys

import ldap3

tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=sys.argv[2])
server = ldap3.Server("localhost", int(sys.argv[1]), use_ssl=True, tls=tls, get_info=ldap3.NONE)
connection = ldap3.Connection(server, auto_bind=False)
assert connection.bind()
connection.unbind()
print("ok")
