"""Worlds from a seed: a PKI with many faults, the places of its certificates, and a program that uses its servers.

The keys come from a pool, so that two worlds of one seed differ in serial numbers and signatures only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import PARTIAL_CHAIN
from tests.support.issue import Options, issue

from . import extras, faults
from .entity import KEY_IDS, KEYS, Entity
from .model import (
    EXPLICIT_POLICY,
    NO_ALT_CHAINS,
    NO_CHECK_TIME,
    STRICT,
    TRUSTED_FIRST,
    Made,
    Server,
    Settings,
    Step,
    World,
)

T = TypeVar("T")

SERVER_KEY = 0  # of all leaves

FLAGS_OF_3_11 = TRUSTED_FIRST
FLAGS_OF_3_13 = TRUSTED_FIRST | PARTIAL_CHAIN | STRICT


def world(seed: int, base: str, flags: int | None = None) -> World:
    """The world of this seed; `base` is where URLs begin. `flags` are the program's, and then they do not change."""
    return _Generator(seed, base, flags).world()


class _Generator:
    def __init__(self, seed: int, base: str, flags: int | None) -> None:
        self.seed = seed
        self.base = base
        self.flags = flags
        self.random = random = Random(seed)
        self.fault_rate = random.choice((0, 0.05, 0.15, 0.35))
        self.constraint_rate = random.choice((0, 0, 0.05, 0.15, 0.4))
        self.cross_rate = random.choice((0.1, 0.3, 0.6))
        self.inherits = random.random() < 0.4
        self.pins = random.random() < 0.2  # a world about pinned intermediates, and about settings that change
        if self.pins:
            self.fault_rate = min(self.fault_rate, 0.15)
            self.inherits = random.random() < 0.8
        self.free_keys = random.sample(range(1, len(KEYS)), len(KEYS) - 1)
        self.entities: list[Entity] = []
        self.certificates: list[Made] = []
        self.of: dict[Entity, list[Made]] = {}
        self.made_with: dict[Entity, Options] = {}
        self.serials: dict[Made, tuple[x509.Name, int]] = {}

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def some(self, items: Sequence[T], rate: float) -> list[T]:
        return [item for item in items if self.chance(rate)]

    def world(self) -> World:
        random = self.random
        unrelated = Entity("Alpha", "Unrelated", self.free_keys.pop(), True)
        self._certify(unrelated, unrelated, {"not_after": timedelta(days=500)})
        for number in range(random.choice((1, 1, 2, 2, 3))):
            self._root(number)
        for number in range(random.randint(1, 8)):
            self._authority(number)
        self._cross_signs()
        leaves = [self._leaf(number) for number in range(random.choice((1, 2, 2, 3)))]
        servers = [self._server(random.choice(leaves)) for _ in range(random.choice((1, 2, 3)))]
        authorities = [made for made in self.certificates if made not in leaves]
        roots = [made for entity in self.entities if entity.is_root for made in self.of[entity][:1]]
        anchors = [made for made in roots if self.chance(0.65)]
        if not anchors and self.chance(0.6):
            anchors = [random.choice(roots)]
        if not anchors or self.chance(0.1):
            anchors.append(self.of[unrelated][0])
        if self.chance(0.9 if self.pins else 0.15):
            anchors.append(random.choice(self.certificates if self.chance(0.1) else authorities))
        in_directory = self.some(anchors, 0.7) if self.chance(0.12) else []
        settings = self._settings()
        planted_rate = random.choice((0, 0, 0.15, 0.4, 0.9, 0.9 * self.pins))
        steps = self._steps(servers, settings, roots, authorities)
        world = World(
            seed=self.seed,
            certificates=self.certificates,
            planted=[*self.some(authorities, planted_rate), *self.some(leaves, planted_rate / 5)],
            misplaced=[self._two() for _ in range(2) if self.chance(0.04)],
            published=self._published(),
            anchors=[made for made in dict.fromkeys(anchors) if made not in in_directory],
            in_directory=in_directory,
            settings=settings,
            process_wide=self.chance(0.4),
            attached_late=self.chance(0.4),
            steps=steps,
        )
        return extras.added(world, self.of, Random(f"{self.seed} extras"), checks=self.flags is None)

    def _two(self) -> tuple[Made, Made]:
        one, other = self.random.choices(self.certificates, k=2)
        return one, other

    def _root(self, number: int) -> None:
        name = f"Root {number}"
        roots = [entity for entity in self.entities if entity.is_root]
        if roots and self.chance(0.15):  # two roots with one name; sometimes it is the unrelated one's
            name = self.random.choice(roots).name
        entity = Entity(self._organization(), name, self.free_keys.pop(), True)
        options = faults.constraints(self.random, self.constraint_rate / 2)
        options["not_after"] = timedelta(days=500)
        note = ""
        if self.chance(self.fault_rate / 3):
            note = self.random.choice(list(faults.OF_A_CA))
            options = {**options, **faults.OF_A_CA[note]}
        self._certify(entity, entity, options, note)
        if self.chance(0.08):  # the same root once more, renewed
            self._certify(entity, entity, {"not_after": timedelta(days=600)}, "renewed")

    def _authority(self, number: int) -> None:
        random = self.random
        other = random.choice(self.entities)
        if self.chance(0.14):  # another key under a name that is there already, a root's too
            entity = replace(other, key=self.free_keys.pop(), is_root=False)
        elif self.chance(0.05):  # and another name with a key that is there already
            entity = Entity(self._organization(), f"CA {number}", other.key)
        else:
            entity = Entity(self._organization(), f"CA {number}", self.free_keys.pop())
        issuer = random.choice(self.entities[-3:] if self.chance(0.7) else self.entities)
        self._certify(entity, issuer, *self._ca_options(issuer))
        if entity.name == other.name and self.chance(0.5):  # a rollover: the new key certifies the old one too
            self._certify(other, entity, *self._ca_options(entity))

    def _cross_signs(self) -> None:
        authorities = [entity for entity in self.entities if not entity.is_root]
        for entity in self.entities:
            while self.chance(self.cross_rate * (0.3 if entity.is_root else 1)):
                issuer = self.random.choice(self.entities)
                self._certify(entity, issuer, *self._ca_options(issuer))
        if len(authorities) > 2 and self.chance(0.2):  # a ring
            ring = self.random.sample(authorities, self.random.randint(2, len(authorities)))
            for entity, issuer in zip(ring, [*ring[1:], ring[0]]):
                self._certify(entity, issuer, *self._ca_options(issuer))
        for entity in authorities:
            if self.chance(0.06):
                self._certify(entity, entity, {}, "a self-signed intermediate")

    def _ca_options(self, issuer: Entity) -> tuple[Options, str]:
        options = faults.constraints(self.random, self.constraint_rate)
        above = self.made_with[issuer]
        if self.inherits and self.chance(0.8):
            inherited: Options = {**above}
            if (length := above.get("path_length")) is not None:
                inherited["path_length"] = max(0, length - 1)
            options = {**options, **inherited}
        days = above["not_after"] - timedelta(days=self.random.choice((1, 10, 10, -30)))
        options["not_after"] = days if days > timedelta(days=2) else timedelta(days=90)
        return self._at_fault(options, issuer, faults.OF_A_CA)

    def _at_fault(self, options: Options, issuer: Entity, known: dict[str, Options]) -> tuple[Options, str]:
        random = self.random
        if not self.chance(self.fault_rate):
            return options, ""
        note = random.choice([*known, "forged", "forged", "forged, all else right", "by serial", "by a wrong serial"])
        if note in known:
            return {**options, **known[note]}, note
        if note.startswith("forged"):
            options["signed_by"] = KEYS[random.randrange(len(KEYS))]
            if note == "forged":
                options["authority_key_id"] = random.choice(KEY_IDS)
        else:
            name, serial = self.serials[random.choice(self.of[issuer])]
            wrong = note == "by a wrong serial"
            options = {**options, **faults.by_serial(name, serial + wrong)}
        return options, note

    def _leaf(self, number: int) -> Made:
        random = self.random
        host = random.choice((faults.HOSTS[0], faults.HOSTS[0], faults.HOSTS[1]))
        authorities = [entity for entity in self.entities if not entity.is_root]
        issuer = random.choice(self.entities if self.chance(0.1) else authorities[-4:])
        options, note = self._at_fault({"san": [host], "not_after": timedelta(days=30)}, issuer, faults.OF_A_LEAF)
        if self.chance(0.3):
            options["policies"] = [faults.POLICY]
        leaf = Entity(self._organization(), host, SERVER_KEY)
        if self.chance(0.02):
            return self._certify(leaf, leaf, options, f"self-signed, {note}", kind=f"leaf {number}")
        return self._certify(leaf, issuer, options, note, kind=f"leaf {number}")

    def _certify(self, entity: Entity, issuer: Entity, options: Options, note: str = "", kind: str = "") -> Made:
        """Issue one certificate; an entity is known from its first on."""
        is_leaf = bool(kind)
        defaults: Options = {"ca": not is_leaf}
        if is_leaf:
            defaults["eku"] = [ExtendedKeyUsageOID.SERVER_AUTH]
        url = f"{self.base}/{self.seed}/{len(self.certificates)}" if self.chance(0.75) else None
        if url and "version1" not in options:
            defaults["aia"] = [url]
        if self.chance(0.02):  # names are equal whatever their case and their spaces
            options = {**options, "issuer": replace(issuer, name=f" {issuer.name.upper()}  ").subject}
        if not options.get("ca", True):
            options = {**options, "path_length": None}
        certificate = issue(
            entity.subject,
            KEYS[entity.key],
            {**defaults, **options},
            issuer_name=None if entity == issuer else issuer.subject,
            issuer_key=KEYS[issuer.key],
            issuer_key_id=KEY_IDS[issuer.key],
        )
        unusual = {key: value for key, value in options.items() if key in _WORTH_A_WORD}
        made = Made(
            f"{kind or 'CA'} #{len(self.certificates)}: {entity.folded}, key {entity.key}, "
            f"by {issuer.folded}, key {issuer.key} [{note}] {unusual or ''}",
            certificate.public_bytes(Encoding.DER),
            entity.folded,
            issuer.folded,
            entity.key,
            KEYS.index(options["signed_by"]) if "signed_by" in options else issuer.key,
            url,
            not is_leaf,
        )
        self.certificates.append(made)
        self.serials[made] = certificate.issuer, certificate.serial_number
        if not is_leaf:
            if entity not in self.of:
                self.entities.append(entity)
                kept = {key: value for key, value in options.items() if key in _INHERITED}
                self.made_with[entity] = cast(Options, kept)
            self.of.setdefault(entity, []).append(made)
        return made

    def _server(self, leaf: Made) -> Server:
        random = self.random
        kind = random.choice(("nothing", "nothing", "a walk", "a walk", "anything", "all"))
        sends: list[Made] = []
        if kind == "a walk":
            at = leaf
            for _ in range(random.randint(1, 5)):
                above = [made for made in self.certificates if made.subject == at.issuer and made not in sends]
                if not above:
                    break
                at = random.choice(above)
                sends.append(at)
            sends = self.some(sends, random.choice((0.3, 0.6, 1)))
        elif kind == "anything":
            sends = self.some(self.certificates, 0.25)
        elif kind == "all":
            sends = self.certificates[:]
        if self.chance(0.2):
            sends.append(random.choice(self.certificates))
        if sends and self.chance(0.2):
            sends.append(random.choice(sends))
        if kind != "a walk" or self.chance(0.3):
            random.shuffle(sends)
        host = next(host for host in faults.HOSTS if leaf.subject.endswith(host))
        if self.chance(0.05):
            host = random.choice(faults.HOSTS)
        return Server(leaf, sends, host)

    def _published(self) -> dict[str, tuple[str, Sequence[Made]]]:
        random = self.random
        published: dict[str, tuple[str, Sequence[Made]]] = {}
        for made in self.certificates:
            if made.url is None or self.chance(0.05):  # nothing there
                continue
            issuers = [other for other in self.certificates if other.subject == made.issuer]
            true = [other for other in issuers if other.key == made.signer and other is not made]
            content = random.choice(
                (true[:1], [random.choice(true)] if true else [], [random.choice(issuers)] if issuers else [], issuers)
            )
            if self.chance(0.15):
                content = [*content, *random.choices(self.certificates, k=2)]
            if self.chance(0.05):
                content = random.choices(self.certificates, k=1)
            if self.chance(0.2):
                content = random.sample(content, len(content))
            form = "PKCS#7" if len(content) != 1 else random.choice(("DER", "DER", "PEM", "PKCS#7"))
            published[made.url] = random.choice((form, form, form, "BER")) if form == "PKCS#7" else form, content
        return published

    def _settings(self, before: Settings | None = None) -> Settings:
        random = self.random
        flags: int = random.choice((FLAGS_OF_3_11, FLAGS_OF_3_13, FLAGS_OF_3_13, TRUSTED_FIRST | PARTIAL_CHAIN))
        if self.chance(0.1):
            flags = TRUSTED_FIRST | STRICT
        if self.pins:
            flags |= PARTIAL_CHAIN
        if before is not None:
            flags = before.flags ^ random.choice((0, PARTIAL_CHAIN, STRICT))
        for flag in (NO_CHECK_TIME, EXPLICIT_POLICY, NO_ALT_CHAINS, TRUSTED_FIRST):
            if self.chance(0.3 if before is not None else 0.03):
                flags ^= flag
        level = random.choice((0, 1, 2, 3)) if self.chance(0.5 if before is not None else 0.15) else 2
        return Settings(flags if self.flags is None else self.flags, level)

    def _steps(
        self, servers: list[Server], settings: Settings, roots: list[Made], authorities: list[Made]
    ) -> list[Step]:
        random = self.random
        steps: list[Step] = []
        for _ in range(random.choice((1, 2, 3, 4)) + self.pins):
            step = Step(random.choice(servers), tls_1_2=self.chance(0.5))
            if steps and self.chance(0.15):
                step = replace(step, load=[random.choice(roots if self.chance(0.6) else authorities)])
            if steps and self.flags is None and self.chance(0.3 if self.pins else 0.1):
                settings = self._settings(settings)
                step = replace(step, settings=settings)
            if steps and self.chance(0.04):
                step = replace(step, early=True)
            steps.append(step)
        return steps

    def _organization(self) -> str:
        return self.random.choice(faults.ORGANIZATIONS[:1] * 5 + faults.ORGANIZATIONS[1:])


_INHERITED = ("path_length", "permitted", "excluded", "eku", "policies", "not_after")
_WORTH_A_WORD = ("path_length", "permitted", "excluded", "eku", "policies", "not_before", "not_after", "extensions")
