import sys

import snowflake.connector

try:
    snowflake.connector.connect(
        account="any",
        user="me",
        password="any",
        protocol="https",
        host="localhost",
        port=int(sys.argv[1]),
        login_timeout=5,
        enable_server_session_keep_alive_auto_detection=True,
    )
except snowflake.connector.errors.Error as error:
    if "nobody logs in here" not in str(error):  # what the server answers
        raise
