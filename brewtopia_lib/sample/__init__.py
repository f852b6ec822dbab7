"""Sample data: till files of an invented café chain, with known trends planted in them."""

from brewtopia_lib.sample.faults import FAULTS, ODD_NAMES
from brewtopia_lib.sample.write import LAST_DAY, SampleSummary, write_sample

__all__ = ["FAULTS", "LAST_DAY", "ODD_NAMES", "SampleSummary", "write_sample"]
