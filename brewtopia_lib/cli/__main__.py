"""`python -m brewtopia_lib.cli` is `brewtopia`."""

from brewtopia_lib.cli import main

main()
