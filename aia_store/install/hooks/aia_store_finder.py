# The watcher: a finder for `ssl` and pyOpenSSL, and for the modules of `inside`, which attach to them.
# `aia-store hook install` puts a copy of this file into each place that it reaches; `hook path` names its folder.
# It loads only `inside`, from where the package was installed, and under a name of its own. Whatever happens to the
# program's path, and whatever is called aia_store there, it loads this one or nothing.
# No docstring, no annotation and no further import, because every program of the machine loads this file.
import os
import sys

inside = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))) + "/inside"  # replaced in copies
name_of_inside = "_aia_store"
is_aia_store_watcher = True


def find_spec(name, path=None, target=None):
    try:
        if name == "ssl" or name == "OpenSSL.SSL":
            return load_startup().find(path, target, name)
        if name.startswith("_aia_store."):
            return sys.modules[name_of_inside].find_spec(name)
    except Exception:
        pass
    return None


def load_startup():
    if name_of_inside not in sys.modules:  # otherwise another watcher was first
        from _frozen_importlib import module_from_spec
        from _frozen_importlib_external import spec_from_file_location

        spec = spec_from_file_location(name_of_inside, inside + "/__init__.py", submodule_search_locations=[inside])
        sys.modules[name_of_inside] = module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            return __import__(name_of_inside + ".startup", fromlist=["find"])
        except BaseException:
            del sys.modules[name_of_inside]
            raise
    return __import__(name_of_inside + ".startup", fromlist=["find"])


def attach():
    if "ssl" in sys.modules:
        try:
            load_startup().attach()
        except Exception:
            pass


sys.meta_path.insert(0, sys.modules[__name__])
attach()
