import ftplib
import ssl
import sys

ftp = ftplib.FTP_TLS(timeout=30, context=ssl.create_default_context(cafile=sys.argv[2]))
ftp.connect("localhost", int(sys.argv[1]))
ftp.auth()
assert ftp.sendcmd("USER me").startswith("230")
print("ok")
