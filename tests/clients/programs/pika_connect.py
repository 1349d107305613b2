import ssl
import sys

import pika
import pika.exceptions

options = pika.SSLOptions(ssl.create_default_context(cafile=sys.argv[2]), "localhost")
parameters = pika.ConnectionParameters(
    "localhost", int(sys.argv[1]), ssl_options=options, connection_attempts=1, stack_timeout=30
)
try:
    pika.BlockingConnection(parameters)
except pika.exceptions.IncompatibleProtocolError:
    print("ok")  # the server has answered AMQP's protocol header
