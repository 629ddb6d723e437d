"""`python -m runtime` is the `smartid` command: how processes of ours are started by ours."""

from runtime.cli import main

main()
