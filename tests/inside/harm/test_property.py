"""After any sequence of handshakes, all that can be asked of a context is what it is in a process without the hook.

Each world is a seed: a program does the same things, drawn at random, with the hook and without, and shows after each
what it sees. AIA_STORE_TEST_HARM=all takes more worlds.
"""

from __future__ import annotations

import json

import pytest

from tests.conftest import write_pem
from tests.inside.harm.conftest import Sites, with_and_without
from tests.inside.harm.conftest import size as number_of
from tests.inside.harm.test_who_looks import LOOK
from tests.support.pki import Authority

STEPS = 10

PROGRAM = (
    LOOK
    + """
import copy, pickle, random, threading, warnings

warnings.simplefilter("ignore")

worlds, ports, files, steps = (json.loads(argument) for argument in sys.argv[1:5])

def outcome(action):
    try:
        return repr(type(action()))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def seen(context):
    statistics = context.session_stats()
    # Only the hook has handshakes end well with a server that does not send all.
    for name in ("connect_good", "number", "hits", "misses"):
        del statistics[name]
    return {
        **look(context), "session_stats": statistics, "post_handshake_auth": context.post_handshake_auth,
        "hostname_checks_common_name": context.hostname_checks_common_name,
        "security_level": getattr(context, "security_level", None), "num_tickets": context.num_tickets,
        "protocol": int(context.protocol), "bool": bool(context), "callable": callable(context),
        "pickle": outcome(lambda: pickle.dumps(context)), "copy": outcome(lambda: copy.copy(context)),
        "deepcopy": outcome(lambda: copy.deepcopy(context)), "equal": context == context,
    }

def met(context, kind, host="localhost"):
    try:
        said = meet(context, ports[kind], host)
    except OSError as error:
        said = type(error).__name__
    return "" if kind == "leaf-only" else said

def in_threads(context, kinds):
    said = []
    threads = [threading.Thread(target=lambda kind=kind: said.append(met(context, kind))) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said)

def given_up(context, kind):
    with socket.create_connection(("127.0.0.1", ports[kind]), 30) as tcp:
        client = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        return outcome(client.do_handshake)

def toggled(context, name, bit):
    setattr(context, name, type(getattr(context, name))(getattr(context, name) ^ bit))
    return name

def steps_of(random):
    kinds = sorted(ports)
    return random.choice([
        lambda context: met(context, random.choice(kinds)),
        lambda context: met(context, random.choice(kinds)),
        lambda context: met(context, "leaf-only"),
        lambda context: met(context, random.choice(kinds), "another.example"),
        lambda context: in_threads(context, [random.choice(kinds) for _ in range(6)]),
        lambda context: given_up(context, random.choice(kinds)),
        lambda context: toggled(context, "verify_flags", random.choice([0x80000, 0x20, 0x4, 0x8000])),
        lambda context: toggled(context, "options", random.choice([0x4000, 0x20000000, 0x400000])),
        lambda context: outcome(lambda: context.load_verify_locations(random.choice(files))),
        lambda context: outcome(lambda: context.load_verify_locations(cadata=open(files[0]).read())),
        lambda context: outcome(lambda: context.set_ciphers(random.choice(["DEFAULT", "ECDHE+AESGCM", "none"]))),
        lambda context: outcome(lambda: setattr(context, "note", random.random())),
        lambda context: outcome(context.set_default_verify_paths),
        lambda context: outcome(context.load_default_certs),
    ])

def context_of(random):
    way = random.choice(["file", "large", "default", "data", "empty"])
    if way in ("file", "large"):
        return ssl.create_default_context(cafile=files[way == "large"])
    if way == "default":
        return ssl.create_default_context()
    if way == "data":
        return ssl.create_default_context(cadata=open(files[0]).read())
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

story = []
for seed in worlds:
    draw = random.Random(seed)
    contexts = [context_of(draw) for _ in range(2)]
    told = [[seen(context) for context in contexts]]
    for _ in range(steps):
        context = draw.choice(contexts)
        told.append([steps_of(draw)(context), seen(context)])
    told.append([seen(context) for context in contexts])
    story.append(told)
print(json.dumps(story))
"""
)

WORLDS = number_of(12, 600)
AT_ONCE = 6  # in one process


@pytest.mark.usefixtures("default_paths")
@pytest.mark.timeout(3600)
def test_a_context_is_what_it_is_without_the_hook(sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    pinned = sites.pki.root.intermediate("Pinned CA")
    files = [sites.pki.cafile, sites.large_cafile, write_pem(folder / "other.pem", Authority.root("Other"), pinned)]
    for first in range(0, WORLDS, AT_ONCE):
        worlds = list(range(first, min(first + AT_ONCE, WORLDS)))
        arguments = (json.dumps(worlds), sites.ports, json.dumps([str(file) for file in files]), STEPS)
        hooked, plain = with_and_without(PROGRAM, *arguments)
        for number, seed in enumerate(worlds):
            for step in range(STEPS + 2):
                assert hooked[number][step] == plain[number][step], f"seed {seed}, step {step}"
