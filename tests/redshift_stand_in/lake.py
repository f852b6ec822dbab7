"""A lake on S3 for loads: a local one whose files are uploaded as they are."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any


class LakeInS3:
    """What is in a folder, under a prefix of a bucket; `upload` brings it up to date."""

    def __init__(self, folder: Path, s3: Any, bucket: str, prefix: str) -> None:
        self.folder = folder
        self.s3 = s3
        self.bucket = bucket
        self.prefix = prefix
        self.uploaded: set[str] = set()
        self.upload()

    def upload(self) -> "LakeInS3":
        for path in sorted(self.folder.glob("*/*.parquet")):
            name = str(path.relative_to(self.folder))
            if name not in self.uploaded:
                self.s3.put_object(Bucket=self.bucket, Key=self._key(name), Body=path.read_bytes())
                self.uploaded.add(name)
        return self

    def stored(self) -> list[str]:
        """All keys under the prefix."""
        pages = self.s3.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=self._key(""))
        return [one["Key"] for page in found for one in page.get("Contents", ())]

    def replace(self, table: str, body: bytes) -> str:
        """Put other bytes in the place of a table's only file; gives its URI."""
        (name,) = (name for name in self.uploaded if name.startswith(f"{table}/"))
        self.s3.put_object(Bucket=self.bucket, Key=self._key(name), Body=body)
        return f"s3://{self.bucket}/{self._key(name)}"

    def delete(self, table: str) -> None:
        for name in [name for name in self.uploaded if name.startswith(f"{table}/")]:
            self.s3.delete_object(Bucket=self.bucket, Key=self._key(name))

    def batches(self) -> Sequence[str]:
        return [Path(key).stem for key in self.stored() if key.startswith(self._key("objects/"))]

    def files(self, table: str, batches: Collection[str]) -> Sequence[tuple[str, int]]:
        wanted = {self._key(f"{table}/{batch}.parquet") for batch in batches}
        pages = self.s3.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=self._key(f"{table}/"))
        return [
            (f"s3://{self.bucket}/{one['Key']}", one["Size"])
            for page in found
            for one in page.get("Contents", ())
            if one["Key"] in wanted
        ]

    def write(self, name: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=self._key(name), Body=body)
        return f"s3://{self.bucket}/{self._key(name)}"

    def remove(self, name: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}"
