import asyncio
import ssl
import sys

import aiosmtplib


async def main():
    smtp = aiosmtplib.SMTP(hostname="localhost", port=int(sys.argv[1]), start_tls=False)
    await smtp.connect()
    await smtp.starttls(tls_context=ssl.create_default_context(cafile=sys.argv[2]))
    assert (await smtp.ehlo()).code == 250
    print("ok")
    await smtp.quit()


asyncio.run(main())
