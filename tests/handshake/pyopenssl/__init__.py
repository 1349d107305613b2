"""pyOpenSSL, Twisted and urllib3's pyOpenSSL: the same completion, in an OpenSSL that is not Python's."""
