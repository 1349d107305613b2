import ssl
import sys

import oracledb

try:
    oracledb.connect(
        user="me",
        password="any",
        dsn=f"tcps://localhost:{sys.argv[1]}/any",
        ssl_context=ssl.create_default_context(cafile=sys.argv[2]),
        retry_count=0,
    )
except oracledb.DatabaseError as error:
    if "DPY-6001" not in str(error):  # the listener knows no such service
        raise
    print("ok")
