import sys

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    bootstrap_servers=f"localhost:{sys.argv[1]}",
    security_protocol="SSL",
    ssl_cafile=sys.argv[2],
    bootstrap_timeout_ms=5_000,
)
print(*consumer.topics())
consumer.close()
