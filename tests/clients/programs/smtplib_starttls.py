import smtplib
import ssl
import sys

with smtplib.SMTP("localhost", int(sys.argv[1]), timeout=30) as smtp:
    smtp.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
    assert smtp.ehlo()[0] == 250
print("ok")
