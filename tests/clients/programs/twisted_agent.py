import sys

from twisted.internet import ssl, task
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody


async def main(reactor):
    with open(sys.argv[2], encoding="ascii") as file:
        roots = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(file.read())])
    agent = Agent(reactor, BrowserLikePolicyForHTTPS(roots))
    response = await agent.request(b"GET", f"https://localhost:{sys.argv[1]}/".encode())
    print((await readBody(response)).decode())


task.react(main)
