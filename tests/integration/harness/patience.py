"""How long a test waits for what has to come, in seconds. It ends a test that hangs, and says nothing
about how fast caged is: on a machine that is busy with other things everything may take a minute."""

PATIENCE = 120
