"""What a server sends, and what would complete its chain: the diagnosis behind `aia-store check`.

`connection` makes real handshakes with a host, after `starttls` if asked for; `witness` records what the host sends.
`certificate_files` reads what a server is to send. `host` lets OpenSSL verify each chain with the machine's anchors
(`trust`), and searches for what is missing. The result is a `finding` for each chain. `views` says which clients can
connect, and `revocation` what the CRLs say of each certificate in the path.
"""
