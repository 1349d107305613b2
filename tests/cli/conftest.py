"""What the command line's tests share."""

from __future__ import annotations

from tests.manager.conftest import machine as machine
from tests.manager.conftest import root as root
