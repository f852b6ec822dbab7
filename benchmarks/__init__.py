"""Brewtopia against other tools, on the same data, in one run; see README.md."""
