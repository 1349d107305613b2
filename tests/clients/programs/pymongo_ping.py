import sys

import pymongo

if pymongo.version_tuple >= (3, 9):
    options = {"tls": True, "tlsCAFile": sys.argv[2]}
else:
    options = {"ssl": True, "ssl_ca_certs": sys.argv[2]}
client = pymongo.MongoClient("localhost", int(sys.argv[1]), serverSelectionTimeoutMS=5000, **options)
assert client.admin.command("ping")["ok"] == 1
client.close()
print("ok")
