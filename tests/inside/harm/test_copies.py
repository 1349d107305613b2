"""Contexts that are copied, pickled or compared by a program's own classes contain nothing of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.harm.conftest import UNKNOWN, Sites, answer, with_and_without
from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority
from tests.support.servers import TLSServer

#: How programs make a context again out of another: each defines `copied(context)`. All carry `__dict__` along.
START = """
import copy, copyreg, pickle

port, cafile = int(sys.argv[1]), sys.argv[2]

def rebuilt(cls, *files):
    context = cls(ssl.PROTOCOL_TLS_CLIENT)
    for file in files:
        context.load_verify_locations(file)
    return context

class Reduced(ssl.SSLContext):
    def __reduce__(self):
        return rebuilt, (type(self), *self.files), self.__dict__

def registered(context):
    return rebuilt, (type(context), *context.files), context.__dict__

class Registered(ssl.SSLContext):
    pass

copyreg.pickle(Registered, registered)

class WithState(ssl.SSLContext):
    def __reduce_ex__(self, version):
        return rebuilt, (type(self), *self.files), self.__getstate__()

    def __getstate__(self):
        return dict(self.__dict__)

    def __setstate__(self, state):
        self.__dict__.update(state)

class Slots(ssl.SSLContext):
    __slots__ = ("files", "extra")

    def __reduce__(self):
        return rebuilt, (type(self), *self.files), (self.__dict__, {"files": self.files})

def updated(context):
    new = rebuilt(type(context), *context.files)
    new.files = context.files
    new.__dict__.update(context.__dict__)
    new.files = context.files
    return new

COPIES = {
    "pickle": lambda context: pickle.loads(pickle.dumps(context)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "update": updated,
}

CLASSES = Reduced, Registered, WithState, Slots

def made(cls):
    context = cls(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    context.files = (cafile,)
    return context
"""

WAYS = ["pickle", "copy", "deepcopy", "update"]

COPY_MEETS = """
copied = COPIES[sys.argv[3]]

def meetings(cls):
    context = made(cls)
    said = [meet(context, port)] if sys.argv[4] == "used" else []
    first = copied(context)
    second = copied(first)
    said += [meet(first, port), meet(second, port), meet(context, port), meet(first, port)]
    return sorted(set(said)), sorted(vars(context)), sorted(vars(second))

print(json.dumps({cls.__name__: meetings(cls) for cls in CLASSES}))
"""


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("used", ["new", "used"])
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_accepts_right_servers(sites: Sites, way: str, used: str, size: str) -> None:
    file = sites.pki.cafile if size == "small" else sites.large_cafile
    hooked, plain = with_and_without(START + COPY_MEETS, sites.port("right"), file, way, used)
    assert [said for said, *_ in plain.values()] == [["ok"]] * 4
    assert hooked == plain


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_completed_too(sites: Sites, way: str) -> None:
    seen = answer(START + COPY_MEETS, sites.port("leaf-only"), sites.pki.cafile, way, "used")
    assert [said for said, *_ in seen.values()] == [["ok"]] * 4


ORIGINAL_MEETS = """
of_copy, file_of_copy = int(sys.argv[4]), sys.argv[5]

def meetings(cls):
    context = made(cls)
    new = COPIES[sys.argv[3]](context)
    new.load_verify_locations(file_of_copy)
    said = [meet(context, of_copy), meet(new, of_copy), meet(context, of_copy), meet(context, port), meet(new, port)]
    return said, context.cert_store_stats(), new.cert_store_stats()

print(json.dumps({cls.__name__: meetings(cls) for cls in CLASSES}))
"""


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("way", WAYS)
def test_the_original_does_not_trust_what_the_copy_was_given(sites: Sites, tmp_path: Path, way: str, size: str) -> None:
    root = Authority.root("Root of the Copy")
    given = large_ca_file(tmp_path / "copy.pem", root, extra=b"" if size == "large" else b"\0\n")
    file = sites.pki.cafile if size == "small" else sites.large_cafile
    with TLSServer(root.leaf()) as server:
        hooked, plain = with_and_without(START + ORIGINAL_MEETS, sites.port("right"), file, way, server.port, given)
        assert [said for said, *_ in plain.values()] == [[UNKNOWN, "ok", UNKNOWN, "ok", "ok"]] * 4
        assert hooked == plain


UNUSUAL = """
class AllEqual(ssl.SSLContext):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1

class Unhashable(ssl.SSLContext):
    def __eq__(self, other):
        return self is other

class Raising(ssl.SSLContext):
    def __eq__(self, other):
        raise RuntimeError("do not compare me")

    def __hash__(self):
        raise RuntimeError("do not hash me")

    def __repr__(self):
        raise RuntimeError("do not show me")

class False_(ssl.SSLContext):
    def __bool__(self):
        return False

class Empty(ssl.SSLContext):
    def __len__(self):
        return 0

class Slotted(ssl.SSLContext):
    __slots__ = ("extra",)

class Frozen(ssl.SSLContext):
    def __setattr__(self, name, value):
        if name not in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version"):
            raise AttributeError(f"{name} is not to be set")
        super().__setattr__(name, value)

class NoDict(ssl.SSLContext):
    @property
    def __dict__(self):
        raise RuntimeError("there is none")

class Delegating(ssl.SSLContext):
    def __getattribute__(self, name):
        if name.startswith("_aia") or name == "__dict__":
            raise RuntimeError(f"{name} is nobody's business")
        return super().__getattribute__(name)

ports, trusted, other = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
cls = globals()[sys.argv[4]]
contexts = [cls(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]
contexts[0].load_verify_locations(trusted)
contexts[1].load_verify_locations(other)
said = [[meet(context, ports[kind]) for kind in ("leaf-only", "right", "leaf-only", "unknown")] for context in contexts]
print(json.dumps(said))
"""


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    "cls",
    ["AllEqual", "Unhashable", "Raising", "False_", "Empty", "Slotted", "Frozen", "NoDict", "Delegating"],
)
def test_classes_with_ideas_of_their_own(sites: Sites, tmp_path: Path, cls: str, size: str) -> None:
    """The second context, equal to the first or not, trusts nobody that these servers lead to."""
    trusted = sites.pki.cafile if size == "small" else sites.large_cafile
    other = large_ca_file(tmp_path / "other.pem", Authority.root("Root of Nobody"))
    said = answer(UNUSUAL, sites.ports, trusted, other, cls)
    assert said == [["ok", "ok", "ok", UNKNOWN], [UNKNOWN] * 4]
