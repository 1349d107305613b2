"""The tests of others, each without the hook and with it: `tests/peers/run`."""
