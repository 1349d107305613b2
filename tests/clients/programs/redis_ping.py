import sys

import redis

options = {"ssl_ca_certs": sys.argv[2], "ssl_cert_reqs": "required"}
try:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options["retry"] = Retry(NoBackoff(), 0)
except ImportError:
    pass  # a release that does not retry
assert redis.Redis("localhost", int(sys.argv[1]), ssl=True, **options).ping()
print("ok")
