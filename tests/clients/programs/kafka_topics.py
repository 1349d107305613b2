import sys

from kafka import KafkaConsumer

options = {"bootstrap_timeout_ms": 5_000} if "bootstrap_timeout_ms" in KafkaConsumer.DEFAULT_CONFIG else {}
consumer = KafkaConsumer(
    bootstrap_servers=f"localhost:{sys.argv[1]}", security_protocol="SSL", ssl_cafile=sys.argv[2], **options
)
print(*consumer.topics())
consumer.close()
