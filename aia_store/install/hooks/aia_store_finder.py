# The watcher: a finder for `ssl` and pyOpenSSL alone. When one of them is imported, it loads what attaches to it.
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
    if name == "ssl" or name == "OpenSSL.SSL":
        try:
            return load_startup().find(path, target, name)
        except Exception as error:
            if was_raised_by_handler(error):
                raise
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
        except Exception as error:
            if was_raised_by_handler(error):
                raise


def was_raised_by_handler(error):
    # What a signal handler raises while we load belongs to the program. A handler gets the frame that it interrupts.
    # `inside` has the same function, but it may not be loaded yet.
    step = error.__traceback__
    while step.tb_next is not None:
        below, step = step.tb_frame, step.tb_next
        for value in step.tb_frame.f_locals.values():
            if value is below or (type(value) is tuple and any(one is below for one in value)):
                return True
    return False


sys.meta_path.insert(0, sys.modules[__name__])
attach()
