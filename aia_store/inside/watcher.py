# A finder that finds nothing but `ssl` and pyOpenSSL, for which it imports what attaches to them. `aia-store hook
# install` puts a copy of this file beside its .pth file, so that an interpreter's start costs one small module and no
# package; it must do without all else, even when the package is gone. No docstring, no annotation: every program of
# the machine loads it.
import sys

is_aia_store_watcher = True


def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
    if name == "ssl" or name == "OpenSSL.SSL":
        try:
            from aia_store.inside.startup import find

            return find(path, target, name)
        except Exception:
            pass
    return None


def attach():  # type: ignore[no-untyped-def]
    if "ssl" in sys.modules:
        try:
            from aia_store.inside.startup import attach

            attach()
        except Exception:
            pass


sys.meta_path.insert(0, sys.modules[__name__])
attach()  # type: ignore[no-untyped-call]
