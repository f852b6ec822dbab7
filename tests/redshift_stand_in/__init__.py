"""A stand-in for Amazon Redshift in tests: PostgreSQL behind a proxy that speaks its ways.

The unmodified driver and our real SQL work on it, and what Redshift is strict about it is strict
about too. What it cannot show stands in docs/redshift.md.
"""

from redshift_stand_in.lake import LakeInS3
from redshift_stand_in.server import Fault, StandIn, is_installed

__all__ = ["Fault", "LakeInS3", "StandIn", "is_installed"]
