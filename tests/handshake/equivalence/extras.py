"""What some programs have besides certificates: CRLs, and trust settings of their anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.pki import Authority, crl

from .entity import KEY_IDS, KEYS, Entity
from .model import CRL_CHECK_CHAIN, CRL_CHECK_LEAF, SERVER_AUTH, Made, Settings, TrustSettings, World

MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
TRUST = (
    TrustSettings(trusts=[SERVER_AUTH]),
    TrustSettings(trusts=[MAIL, SERVER_AUTH]),
    TrustSettings(rejects=[MAIL]),
    TrustSettings(rejects=[SERVER_AUTH]),
    TrustSettings(trusts=[MAIL]),
)


def added(world: World, of: Mapping[Entity, Sequence[Made]], random: Random, *, checks: bool) -> World:
    """The world, a fifth of them with trust settings, and a fifth with CRLs, which its program checks if `checks`.

    `of`: the certificates of each authority.
    """
    if random.random() < 0.2:
        anchors = [*world.anchors, *world.in_directory]
        world = replace(world, trust={made: random.choice(TRUST) for made in anchors if random.random() < 0.5})
    if random.random() < 0.2:
        rate = random.choice((0.0, 0.1, 0.3))
        crls = [_crl(world, entity, made[0], rate, random) for entity, made in of.items() if random.random() < 0.93]
        world = replace(world, crls=crls)
        world = _checking(world, random) if checks else world
    return world


def _crl(world: World, entity: Entity, made: Made, rate: float, random: Random) -> tuple[str, bytes]:
    """The CRL of an authority, one of whose certificates this is."""
    issued = [other for other in world.certificates if other.issuer == entity.folded and other.signer == entity.key]
    revoked = [other for other in issued if random.random() < rate]
    is_old = random.random() < 0.06
    days = timedelta(days=-2 if is_old else 7)
    authority = Authority(x509.load_der_x509_certificate(made.der), KEYS[entity.key], KEY_IDS[entity.key], None, {})
    serials = [x509.load_der_x509_certificate(other.der).serial_number for other in revoked]
    numbers = [world.certificates.index(other) for other in revoked]
    note = f"{entity.folded}, key {entity.key}: revokes {numbers}{', expired' * is_old}"
    return note, crl(authority, serials, last_update=timedelta(days=-9), next_update=days)


def _checking(world: World, random: Random) -> World:
    """The world, its program checking CRLs from the start, or from some step on, or not at all."""

    def with_flags(settings: Settings) -> Settings:
        flags = random.choice((CRL_CHECK_LEAF, CRL_CHECK_LEAF, CRL_CHECK_CHAIN, CRL_CHECK_CHAIN, 0))
        return replace(settings, flags=settings.flags | flags)

    steps = [
        step if step.settings is None else replace(step, settings=with_flags(step.settings)) for step in world.steps
    ]
    if len(steps) > 1 and random.random() < 0.4:
        at = random.randrange(1, len(steps))
        steps[at] = replace(steps[at], settings=with_flags(steps[at].settings or world.settings))
    return replace(world, settings=with_flags(world.settings), steps=steps)
