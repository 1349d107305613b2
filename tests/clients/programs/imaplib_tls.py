import imaplib
import ssl
import sys

context = ssl.create_default_context(cafile=sys.argv[2])
with imaplib.IMAP4_SSL("localhost", int(sys.argv[1]), ssl_context=context) as imap:
    print(imap.noop()[0].lower())
