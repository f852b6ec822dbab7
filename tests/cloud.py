"""A project that is in the cloud by its settings alone: moto's S3 and the stand-in for Redshift."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redshift_stand_in import StandIn
from report_project import copy_reports
from s3_server import S3Server

from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse.redshift import parse

BUCKETS = ("tills", "lake", "pages")


@dataclass
class Cloud:
    """Raw files, lake and pages in buckets, the warehouse in a Redshift, the rest in a folder.

    Attributes:
        environment: the variables that make it so, and nothing else does.
        logs: what every command said.
        raw, lake: the prefixes of both in their buckets.
    """

    folder: Path
    s3: S3Server
    redshift: StandIn
    environment: dict[str, str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    raw: str = ""
    lake: str = ""

    def __post_init__(self) -> None:
        for name in ("temp", "cache"):
            (self.folder / name).mkdir()
        copy_reports(self.folder)
        location = self.redshift.new_location()
        name = parse(location).schema
        self.raw, self.lake = f"{name}/raw", f"{name}/lake of the Café's + 100%"
        self.environment = {
            **self.s3.environment,
            **self.redshift.environment,
            "BREWTOPIA_RAW": f"s3://tills/{self.raw}",
            "BREWTOPIA_LAKE": f"s3://lake/{self.lake}",
            "BREWTOPIA_WAREHOUSE": location,
            "BREWTOPIA_REPORTS": f"s3://pages/{name}",
            "BREWTOPIA_RUNS": str(self.folder / "runs.sqlite"),
            "TMPDIR": str(self.folder / "temp"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    @property
    def settings(self) -> Settings:
        """What a command here reads from its environment."""
        named = {key.removeprefix("BREWTOPIA_").lower(): v for key, v in self.environment.items()}
        return Settings.model_validate(
            {name: named[name] for name in Settings.model_fields if name in named}
        )

    def embedded(self) -> Settings:
        """The same lake with a DuckDB file for its warehouse."""
        return self.settings.model_copy(update={"warehouse": str(self.folder / "warehouse.duckdb")})

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, body in files.items():
            self.s3.put("tills", f"{self.raw}/{name}", body)

    def in_lake(self) -> dict[str, bytes]:
        """Everything of the lake."""
        found = self.s3.objects("lake")
        return {key: body for key, body in found.items() if key.startswith(self.lake)}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `brewtopia` with these arguments."""
        done = subprocess.run(
            [sys.executable, "-m", "brewtopia_lib.cli", *arguments],
            env=os.environ | self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        self.logs += [done.stdout, done.stderr]
        return done
