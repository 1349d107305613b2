import sys

import paho.mqtt.client as mqtt

version = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []
client = mqtt.Client(*version)
client.on_connect = lambda client, *rest: (print("ok"), client.disconnect())
client.tls_set(sys.argv[2])
client.connect("localhost", int(sys.argv[1]))
client.loop_forever(retry_first_connection=False)
