import sys

import grpc

with grpc.secure_channel(f"localhost:{sys.argv[1]}", grpc.ssl_channel_credentials()) as channel:
    grpc.channel_ready_future(channel).result(timeout=5)
print("ok")
