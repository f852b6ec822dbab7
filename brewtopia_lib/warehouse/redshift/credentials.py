"""Where a location's database answers, and as whom to sign in there."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from brewtopia_lib.errors import SettingsError, WarehouseError, WarehouseUnavailableError
from brewtopia_lib.warehouse.redshift.location import PASSWORD_VARIABLE, RedshiftLocation

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_PASSING = ("ThrottlingException", "Throttling", "InternalServerException", "InternalFailure")


@dataclass(frozen=True)
class Credentials:
    """Enough to sign in; the password shows in no repr."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)


def credentials(location: RedshiftLocation) -> Credentials:
    """The endpoint and the sign-in of a location: by IAM, from Secrets Manager or the environment.

    Raises SettingsError where a setting is missing, WarehouseError where AWS refuses, and
    WarehouseUnavailableError where it cannot be asked just now.
    """
    if location.kind == "workgroup":
        return _of_workgroup(location)
    if location.kind == "cluster":
        return _of_cluster(location)
    if location.secret is not None:
        return _of_secret(location, location.secret)
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise SettingsError(
            f"there is no password for {location}: set {PASSWORD_VARIABLE}, or name a secret "
            "with secret=NAME (docs/redshift.md)"
        )
    assert location.user is not None
    return Credentials(location.name, location.port, location.user, password)


def _of_workgroup(location: RedshiftLocation) -> Credentials:
    name = location.name
    endpoint = _ask(location, "redshift-serverless", "get_workgroup", workgroupName=name)
    signed = _ask(
        location, "redshift-serverless", "get_credentials",
        workgroupName=name, dbName=location.database,
    )  # fmt: skip
    address = endpoint["workgroup"].get("endpoint") or {}
    if "address" not in address:
        raise WarehouseUnavailableError(
            f"{location} has no endpoint yet: wait until it is available"
        )
    return Credentials(address["address"], address["port"], signed["dbUser"], signed["dbPassword"])


def _of_cluster(location: RedshiftLocation) -> Credentials:
    name = location.name
    found = _ask(location, "redshift", "describe_clusters", ClusterIdentifier=name)
    signed = _ask(
        location, "redshift", "get_cluster_credentials",
        ClusterIdentifier=name, DbName=location.database, DbUser=location.user, AutoCreate=False,
    )  # fmt: skip
    address = found["Clusters"][0].get("Endpoint") or {}
    if "Address" not in address:
        raise WarehouseUnavailableError(
            f"{location} has no endpoint yet: wait until it is available"
        )
    return Credentials(address["Address"], address["Port"], signed["DbUser"], signed["DbPassword"])


def _of_secret(location: RedshiftLocation, secret: str) -> Credentials:
    found = _ask(location, "secretsmanager", "get_secret_value", SecretId=secret)
    try:
        content = json.loads(found["SecretString"])
        user = location.user or str(content["username"])
        return Credentials(location.name, location.port, user, str(content["password"]))
    except (KeyError, TypeError, ValueError):
        raise SettingsError(
            f"the secret {secret} is not JSON with username and password: store it as "
            "Redshift's own secrets are (docs/redshift.md)"
        ) from None


def _ask(location: RedshiftLocation, service: str, action: str, **arguments: object) -> Any:
    """What AWS answers; each failure becomes one line that names the action and the way out."""
    right = f"{service}:{action.title().replace('_', '')}"
    try:
        client = boto3.client(service, region_name=location.region)
        return getattr(client, action)(**arguments)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _EXPIRED:
            way_out = "the AWS credentials have expired: sign in again"
        elif "AccessDenied" in code:
            way_out = f"grant {right} (docs/redshift.md has the policy)"
        elif "NotFound" in code:
            way_out = "check the names and the region"
        else:
            way_out = "see docs/redshift.md"
        kind = WarehouseUnavailableError if code in _PASSING else WarehouseError
        raise kind(f"{location}: {right} failed ({code}): {way_out}") from None
    except BotoCoreError as error:
        is_passing = isinstance(error, HTTPClientError | NoConnectionError)
        kind = WarehouseUnavailableError if is_passing else WarehouseError
        raise kind(
            f"{location}: {right} could not be asked ({type(error).__name__}): check the AWS "
            "credentials, the region and the network"
        ) from None
