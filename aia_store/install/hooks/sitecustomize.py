# >>> aia-store file >>>
# Completes certificate chains in the programs of this interpreter. `aia-store hook remove --all` removes it; if its
# folder is in PYTHONPATH, remove it from there. This file must parse in Python 2.7, and never print.
import os
import sys

try:
    if sys.version_info >= (3, 9):
        __import__("aia_store_finder")
except Exception:
    pass


def _run_next(folder):
    # Without this file, a sitecustomize further down the path would have run, so run it. If that one in turn looks for
    # others and finds this file, it must notice that this one is already running.
    running = sys.__dict__.setdefault("_aia_store_running", [])
    if folder in running or folder not in sys.path:
        return
    rest = sys.path[sys.path.index(folder) + 1 :]
    running.append(folder)
    try:
        if sys.version_info < (3, 5):
            import imp

            try:
                found = imp.find_module("sitecustomize", rest)
            except ImportError:
                return
            imp.load_module("sitecustomize", *found)
        else:
            from _frozen_importlib import module_from_spec
            from _frozen_importlib_external import PathFinder

            spec = PathFinder.find_spec("sitecustomize", rest)
            if spec is None or spec.loader is None:
                return
            sys.modules["sitecustomize"] = module = module_from_spec(spec)
            spec.loader.exec_module(module)
    finally:
        running.remove(folder)


_run_next(os.path.dirname(os.path.abspath(__file__)))
# <<< aia-store file <<<
