# A finder that finds nothing but `ssl` and pyOpenSSL, for which it loads what attaches to them. `aia-store hook install
# --all` puts a copy of this file into the standard library folder of each interpreter, where virtual environments see
# it that have nothing of ours. No docstring, no annotation: every program of the machine loads it.
import os
import sys

package = os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
)  # in a copy: where the package is installed
# The package is loaded under this name, so that it stays off the program's path: `import aia_store` finds there what
# it would have found without us.
alias = "_aia_store"
is_aia_store_watcher = True


def find_spec(name, path=None, target=None):
    if name == "ssl" or name == "OpenSSL.SSL":
        try:
            return load_startup().find(path, target, name)
        except Exception:
            pass
    return None


def load_startup():
    # An environment that has a package of its own uses that one, whole.
    for finder in sys.meta_path:
        search = None if finder is sys.modules[__name__] else getattr(finder, "find_spec", None)
        spec = search and search("aia_store", None)
        if spec is not None and spec.origin is not None:
            try:
                return __import__("aia_store.inside.startup", fromlist=["find"])
            except Exception:
                break
    if alias not in sys.modules:
        from _frozen_importlib import module_from_spec
        from _frozen_importlib_external import spec_from_file_location

        spec = spec_from_file_location(alias, package + "/__init__.py", submodule_search_locations=[package])
        sys.modules[alias] = module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[alias]
            raise
    return __import__(alias + ".inside.startup", fromlist=["find"])


def attach():
    if "ssl" in sys.modules:
        try:
            load_startup().attach()
        except Exception:
            pass


sys.meta_path.insert(0, sys.modules[__name__])
attach()
