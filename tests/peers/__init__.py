"""The tests of other projects, without and with the hook: `tests/peers/run`."""
