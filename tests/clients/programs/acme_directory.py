import sys

from acme import client

network = client.ClientNetwork(None, verify_ssl=sys.argv[2])
directory = client.ClientV2.get_directory(f"https://localhost:{sys.argv[1]}/directory", network)
print(directory["newNonce"])
