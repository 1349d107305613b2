"""Unusual contexts: with the hook, a program accepts from a server that sends too little what it accepts from one that
sends everything without the hook, and nothing else.

`client` and `child` run in processes of their own, as programs with the hook and without it, in any Python from 3.9
on: AIA_STORE_TEST_PYTHON names its command (default: the Python of the tests). `programs` talks to them.
"""
