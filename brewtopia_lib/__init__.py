"""Brewtopia: from till CSVs to trend reports."""

__version__ = "0.1.0"
