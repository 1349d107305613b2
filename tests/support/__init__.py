from pathlib import Path

#: For PYTHONPATH: its modules stand in place of a hook that is installed on this machine, which no test is to see.
NO_HOOK = str(Path(__file__).with_name("no_hook"))
