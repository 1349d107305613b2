"""In place of a watcher that is installed on the machine, for the tests' programs: it does nothing."""


def attach() -> None:
    """What a .start file calls."""
