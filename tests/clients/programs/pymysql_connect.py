import sys

import pymysql

connection = pymysql.connect(
    host="localhost", port=int(sys.argv[1]), user="me", password="", ssl={"ca": sys.argv[2], "check_hostname": True}
)
connection.ping(reconnect=False)
connection.close()
print("ok")
