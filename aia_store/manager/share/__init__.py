"""Shares intermediates between machines: what one machine has learned, the others need not fetch.

Intermediates are public and small, and named by the SHA-256 of their DER. So anything that keeps files (the *engine*)
can carry them, and need not be trusted. A *shelf* (`shelf`) is a folder there:

    in/<sha256>.der     what machines hand in (`handing_in`)
    out/<sha256>.der    what a hub has verified and publishes (`publishing`)
    out/manifest        the names of what is in out/ (`manifest`), written last

A machine keeps a certificate, as preloaded, only if it leads to one of its own trust anchors (`taking`). A *hub* is a
machine that also takes from in/ and writes out/. There is no lock: a file's name determines its content, so two hubs
are harmless. One exchange with the shelf is a *round* (`rounds`). Programs never speak to an engine.

If the setting `share` is empty, nothing imports this package.
"""
