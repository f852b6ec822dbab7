"""The deployment: templates that hold, an upload that flows through them, and rights that fit."""

import contextlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import cloudformation
import pytest
import yaml
from botocore.client import BaseClient
from cloudformation import ACCOUNT, REGION
from event_stream import metrics
from grafana import FOLDER as GRAFANA
from grafana import read as read_dashboard
from grafana import targets
from redshift_stand_in import StandIn
from redshift_stand_in.server import PASSWORD
from s3_server import S3Server
from test_alarms import ALARMS, KNOWN, TEMPLATE, dashboard_metrics
from test_redshift import needs_stand_in
from tills import Order, till
from typer.main import get_command

from brewtopia_lib import cli
from brewtopia_lib.events.worker import Worker
from brewtopia_lib.ingest import ingest
from brewtopia_lib.mail.transports import find_transport
from brewtopia_lib.reports.publishing import reports_folder
from brewtopia_lib.settings import Settings
from brewtopia_lib.status import pipeline_status, publish_status, tell_status
from brewtopia_lib.warehouse import open_warehouse

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
NAME = "brewtopia"
WORKGROUP = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/1"
NOT_OUR_CALLS = {
    "LambdaTakesMessages", "LambdaWritesLogs", "LambdaEntersVpc", "DockerWritesLogs",
    "FetchBundle", "GrafanaReads",
}  # fmt: skip
"""Rights that Lambda, Docker, Grafana and the set-up of the instance use, not the library."""

Call = tuple[str, str]
"""An action, and the ARN it is done to."""


# --- templates


def test_templates_are_sound() -> None:
    """cfn-lint finds nothing in the templates, in any of the regions of .cfnlintrc."""
    run = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a kind, by name."""
    return {
        name: one.get("Properties", {})
        for path in cloudformation.TEMPLATES
        for name, one in cloudformation.read(path)["Resources"].items()
        if one["Type"] == kind
    }


def test_buckets_are_closed() -> None:
    """Each bucket is encrypted, private, versioned, and refuses what does not come over TLS; raw
    files, which hold personal data, expire."""
    buckets = resources("AWS::S3::Bucket")
    assert len(buckets) == 3
    refusing = {
        statement["Resource"][0]["Fn::GetAtt"][0]
        for policy in resources("AWS::S3::BucketPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert refusing == set(buckets)
    for bucket in buckets.values():
        assert bucket["BucketEncryption"]
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = buckets["RawBucket"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "RawDays"}
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 7


def test_nothing_is_let_in() -> None:
    """No security group lets anybody in but the warehouse its clients, and nothing is public."""
    for name, group in resources("AWS::EC2::SecurityGroup").items():
        for rule in group.get("SecurityGroupIngress", ()):
            assert (name, rule["FromPort"], rule["ToPort"]) == ("WarehouseGroup", 5439, 5439)
            assert rule["SourceSecurityGroupId"] == {"Ref": "ClientGroup"}
    (workgroup,) = resources("AWS::RedshiftServerless::Workgroup").values()
    assert workgroup["PubliclyAccessible"] is False
    (instance,) = resources("AWS::EC2::Instance").values()
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in instance


def test_functions_outlast_their_messages() -> None:
    """A message stays hidden six times as long as its function may take, as AWS advises, and
    every queue that is worked on has one for dead letters; every log has an end."""
    functions, queues = resources("AWS::Lambda::Function"), resources("AWS::SQS::Queue")
    for part in ("Clean", "Load"):
        queue = queues[f"{part}Queue"]
        assert queue["VisibilityTimeout"] >= 6 * functions[f"{part}Function"]["Timeout"]
        dead = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
        assert dead == [f"{part}DeadLetters", "Arn"]
    for mapping in resources("AWS::Lambda::EventSourceMapping").values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"]
    logs = resources("AWS::Logs::LogGroup").values()
    assert len(logs) == 3 and all(group["RetentionInDays"] for group in logs)


def test_every_queue_has_somebody_who_takes() -> None:
    """With the worker in the place of the clean function, whatever the lake tells is still taken."""
    mappings = resources("AWS::Lambda::EventSourceMapping")
    assert mappings["CleanedToLoad"]["Enabled"] is True
    assert mappings["UploadsToClean"]["Enabled"] == {"Fn::If": ["ByLambda", True, False]}


# --- the flow


@dataclass
class Deployed:
    """The stacks in moto, and what an upload made of them.

    Attributes:
        outputs: of each template.
        calls: what each role was used for.
        said: what the parts printed.
    """

    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: dict[str, set[Call]] = field(default_factory=dict)
    said: str = ""
    queues: dict[str, int] = field(default_factory=dict)
    by_lambda: list[tuple[str, ...]] = field(default_factory=list)
    by_worker: list[tuple[str, ...]] = field(default_factory=list)


def parameters_of(name: str, outputs: dict[str, dict[str, str]]) -> dict[str, str]:
    """What the root template passes to a nested one, with the outputs of those before."""
    root = cloudformation.read(cloudformation.FOLDER / "brewtopia.yaml")
    known: dict[str, Any] = {
        key: str(one.get("Default", "")) for key, one in root["Parameters"].items()
    }
    known |= {
        "AlarmAddress": "it@example.org", "MailFrom": "reports@example.org", "CodeBucket": "code",
        **{f"{stack}.Outputs.{key}": v for stack, own in outputs.items() for key, v in own.items()},
    }  # fmt: skip
    given: dict[str, str] = cloudformation.resolved(
        root["Resources"][name]["Properties"]["Parameters"], known, {"ByLambda": True}
    )
    return given


def create(name: str, outputs: dict[str, dict[str, str]]) -> dict[str, str]:
    """Create the stack of one nested template in moto, and give its outputs.

    moto knows no Redshift Serverless: what the template says of it is left out, and its outputs
    are worked out here.
    """
    template = cloudformation.read(cloudformation.FOLDER / f"{name.lower()}.yaml")
    given = parameters_of(name, outputs)
    if name == "Instance":  # names below /aws are AWS's own
        boto3.client("ssm").put_parameter(Name="/image", Value="ami-12c6146b", Type="String")
        template["Parameters"]["Image"]["Default"] = "/image"
    unknown = {
        key for key, one in template["Resources"].items() if "RedshiftServerless" in one["Type"]
    }
    worked_out = {"Name": NAME, "Workgroup": NAME, "Workgroup.Workgroup.WorkgroupArn": WORKGROUP}
    ours = {}
    if unknown:
        for key in unknown:
            del template["Resources"][key]
        for key in ("WarehouseUri", "WorkgroupName", "WorkgroupArn", "Database"):
            ours[key] = cloudformation.resolved(template["Outputs"].pop(key)["Value"], worked_out)
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName=f"{NAME}-{name}",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": v} for key, v in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (stack,) = client.describe_stacks(StackName=f"{NAME}-{name}")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return ours | {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}


def actions(service: str, operation: str, asked: dict[str, Any]) -> set[Call]:
    """What IAM checks for a call."""
    if service == "s3":
        bucket = f"arn:aws:s3:::{asked['Bucket']}"
        if operation == "DeleteObjects":
            keys = [one["Key"] for one in asked["Delete"]["Objects"]]
            return {("s3:DeleteObject", f"{bucket}/{key}") for key in keys}
        if operation == "ListObjectsV2":
            return {("s3:ListBucket", bucket)}
        name = "GetObject" if operation == "HeadObject" else operation
        return {(f"s3:{name}", f"{bucket}/{asked['Key']}")}
    if service == "sqs":
        queue = asked["QueueUrl"].rpartition("/")[2]
        return {
            (f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
        }
    if service == "sesv2":
        sender = asked["FromEmailAddress"]
        return {(f"ses:{operation}", f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{sender}")}
    return {(f"{service}:{operation}", WORKGROUP)}


@contextlib.contextmanager
def recorded(stand_in: StandIn, found: set[Call]) -> Iterator[None]:
    """Notes what is asked of AWS inside; Redshift Serverless answers with the stand-in's sign-in."""
    ask = BaseClient._make_api_call  # type: ignore[attr-defined]

    def note(client: Any, operation: str, asked: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        found.update(actions(service, operation, asked))
        if operation == "GetWorkgroup":
            return {"workgroup": {"endpoint": {"address": "localhost", "port": stand_in.port}}}
        if operation == "GetCredentials":
            return {"dbUser": "loader", "dbPassword": PASSWORD}
        return ask(client, operation, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", note)
        yield


def invoke(part: str, stand_in: StandIn, calls: set[Call]) -> int:
    """Do once what Lambda does: take messages, call the function, delete what it has done."""
    function = boto3.client("lambda").get_function_configuration(FunctionName=f"{NAME}-{part}")
    (mapping,) = (
        one
        for one in boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        if one["FunctionArn"].endswith(f":{NAME}-{part}")
    )
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=mapping["EventSourceArn"].rpartition(":")[2])["QueueUrl"]
    taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    messages = taken.get("Messages", [])
    event = {
        "Records": [
            {
                "messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"], "attributes": one["Attributes"], "messageAttributes": {},
                "eventSource": "aws:sqs", "eventSourceARN": mapping["EventSourceArn"],
                "awsRegion": REGION,
            }
            for one in messages
        ]
    }  # fmt: skip
    module, _, handler = function["Handler"].rpartition(".")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("BREWTOPIA_")]:
            patch.delenv(name)
        for name, value in function["Environment"]["Variables"].items():
            if name.startswith("BREWTOPIA_"):
                # the stand-in has one database, and a schema for each test
                patch.setenv(name, value.replace("/brewtopia?", "/dev?schema=deployed&"))
        with recorded(stand_in, calls):
            answer = getattr(importlib.import_module(module), handler)(event, None)
    failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
    for one in messages:
        if one["MessageId"] not in failed:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return len(messages)


@pytest.fixture(scope="module")
def deployed(
    s3_server: S3Server, stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """All stacks created in moto; two files uploaded, cleaned, loaded, and told of."""
    folder = tmp_path_factory.mktemp("deployed")
    s3_server.reset()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        for name, value in (s3_server.environment | stand_in.environment).items():
            patch.setenv(name, value)
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.chdir(folder)
        made = Deployed()
        s3_server.make_buckets("code")
        s3_server.put("code", "brewtopia-lambda.zip", empty_zip())
        for stack in ("Storage", "Warehouse", "Functions", "Instance", "Alarms"):
            made.outputs[stack] = create(stack, made.outputs)
        outputs = made.outputs["Storage"]
        notify(outputs)
        stand_in.roles["default"] = {outputs["LakeBucket"]}
        stand_in.administrate("public", "create role dashboards")
        client = boto3.client("s3")
        files = {
            "leeds.csv": till([Order(minute=n) for n in range(5)]) + b"broken\n",
            "york & more.csv": till([Order(branch="York")]),
        }
        for name, body in files.items():
            client.put_object(Bucket=outputs["RawBucket"], Key=f"raw/{name}", Body=body)
        client.put_object(Bucket=outputs["RawBucket"], Key="other/x.csv", Body=b"not for us")
        for part in ("clean", "load"):
            made.calls[part] = set()
            while invoke(part, stand_in, made.calls[part]):
                pass
        settings = instance_settings(made, folder)
        made.by_lambda = content_of(settings, stand_in)
        made.calls["instance"] = set()
        put_to_work(settings, outputs["RawBucket"], stand_in, made.calls["instance"])
        made.by_worker = content_of(settings, stand_in)
        use_the_rest(settings, stand_in, made.calls["instance"])
        while invoke("load", stand_in, made.calls["load"]):
            pass  # the worker cleans too, and the lake tells of it
        sqs = boto3.client("sqs")
        for url in sqs.list_queues()["QueueUrls"]:
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            made.queues[url.rpartition("/")[2]] = sum(
                int(told[f"ApproximateNumberOfMessages{which}"]) for which in ("", "NotVisible")
            )
        made.said = said.getvalue()
        yield made
    stand_in.roles["default"] = {"lake"}


def empty_zip() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("brewtopia_lib/events.py", "")
    return body.getvalue()


def environment_of_instance(outputs: dict[str, dict[str, str]]) -> dict[str, str]:
    """What the instance's set-up writes into /etc/brewtopia/environment."""
    template = cloudformation.read(cloudformation.FOLDER / "instance.yaml")
    script = cloudformation.resolved(
        template["Resources"]["Instance"]["Properties"]["UserData"],
        parameters_of("Instance", outputs)
        | {"Logs": "/brewtopia/instance", "DashboardsRole.Arn": "arn:role"},
        {"ByWorker": True},
    )
    lines = re.findall(r"^ *(?:echo ')?([A-Z_]+)=(.*?)'?(?: >>.*)?$", script, flags=re.MULTILINE)
    return {name: value for name, value in lines if name != "DEBIAN_FRONTEND"}


def instance_settings(made: Deployed, folder: Path) -> Settings:
    given = environment_of_instance(made.outputs)
    known = {
        name: given[f"BREWTOPIA_{name.upper()}"]
        for name in Settings.model_fields
        if f"BREWTOPIA_{name.upper()}" in given
    }
    known["runs"] = str(folder / "runs.sqlite")
    known["warehouse"] = known["warehouse"].replace("/brewtopia?", "/dev?schema=deployed&")
    return Settings.model_validate(known)


def notify(outputs: dict[str, str]) -> None:
    """Have the buckets tell the queues as the template says, which moto does not read."""
    for name, bucket in resources("AWS::S3::Bucket").items():
        told = bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", ())
        boto3.client("s3").put_bucket_notification_configuration(
            Bucket=outputs[name],
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": outputs[f"{one['Queue']['Fn::GetAtt'][0]}Arn"],
                        "Events": [one["Event"]],
                        "Filter": {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}},
                    }
                    for one in told
                ]
            },
        )


def content_of(settings: Settings, stand_in: StandIn) -> list[tuple[str, ...]]:
    """Orders and pounds of each branch, and the reasons of the rejects."""
    asked = (
        "select branch, count(*) as n, sum(total) as pounds from orders group by branch "
        "union all select reason, count(*), 0.00 from rejects group by reason order by 1"
    )
    with recorded(stand_in, set()), open_warehouse(settings.warehouse) as warehouse:
        return [tuple(map(str, row)) for row in warehouse.rows(asked)[1]]


def put_to_work(settings: Settings, raw: str, stand_in: StandIn, calls: set[Call]) -> None:
    """A correction and a file that nobody can read, for the worker."""
    client = boto3.client("s3")
    client.put_object(Bucket=raw, Key="raw/leeds.csv", Body=till([Order(), Order(day=2)]))
    client.put_object(Bucket=raw, Key="raw/poison.csv", Body=b"a;b\n1;2\n")
    with recorded(stand_in, calls):
        Worker(settings).run(once=True)
    client.delete_object(Bucket=raw, Key="raw/poison.csv")


def use_the_rest(settings: Settings, stand_in: StandIn, calls: set[Call]) -> None:
    """What the instance does besides: an ingest that tidies, the status, a page, a mail."""
    boto3.client("sesv2").create_email_identity(EmailIdentity=settings.mail_from)
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "x", settings.mail_from, "a@example.org"
    message.set_content("x")
    with recorded(stand_in, calls):
        ingest(settings)
        status = pipeline_status(settings)
        publish_status(settings, status)
        tell_status(status)
        with reports_folder(settings.reports) as folder:
            (folder / "status.html").unlink()
        with find_transport(settings.mail) as transport:
            transport.send(message, settings.mail_from, "a@example.org")


@needs_stand_in
@pytest.mark.slow
def test_an_upload_flows_into_the_warehouse(deployed: Deployed) -> None:
    """What is uploaded below raw/ goes through the queues and both functions into the warehouse,
    and a correction through the worker; no message is left but that of a file nobody can read."""
    assert deployed.by_lambda == [
        ("Leeds", "5", "12.25"), ("York", "1", "2.45"), ("too_few_columns", "1", "0.00"),
    ]  # fmt: skip
    assert deployed.by_worker == [("Leeds", "2", "4.90"), ("York", "1", "2.45")]
    assert {name: n for name, n in deployed.queues.items() if n} == {f"{NAME}-clean": 1}


def statements(role: str) -> list[dict[str, Any]]:
    """The statements of a role's own policies, worked out."""
    known = {
        "Name": NAME, "LakeBucket": f"{NAME}-lake-{ACCOUNT}", "RawBucket": f"{NAME}-raw-{ACCOUNT}",
        "ReportsBucket": f"{NAME}-reports-{ACCOUNT}", "CodeBucket": "code", "BundleKey": "bundle",
        "CleanQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-clean",
        "LoadQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-load",
        "WorkgroupArn": WORKGROUP, "MailFrom": "reports@example.org",
        **{f"{group}.Arn": "arn:aws:logs" for group in ("CleanLogs", "LoadLogs", "Logs")},
    }  # fmt: skip
    (properties,) = (
        one
        for one in resources("AWS::IAM::Role").values()
        if one["RoleName"] == {"Fn::Sub": f"${{Name}}-{role}"}
    )
    return [
        cloudformation.resolved(statement, known)
        for policy in properties["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@needs_stand_in
@pytest.mark.slow
@pytest.mark.parametrize("role", ["clean", "load", "instance"])
def test_rights_are_what_is_used(deployed: Deployed, role: str) -> None:
    """Each call that the code made is allowed to its role; each action and each resource that the
    role allows to the code was used, so that nothing wider is given."""
    calls = deployed.calls[role]
    granted = statements(role)
    for action, arn in sorted(calls):
        assert any(
            action in listed(one["Action"])
            and any(fnmatchcase(arn, pattern) for pattern in listed(one["Resource"]))
            for one in granted
        ), f"{role} may not {action} {arn}"
    for one in granted:
        if one["Sid"] in NOT_OUR_CALLS:
            continue
        within = {
            (action, pattern)
            for action, arn in calls
            for pattern in listed(one["Resource"])
            if fnmatchcase(arn, pattern)
        }
        assert {action for action, _ in within} >= set(listed(one["Action"])), one["Sid"]
        assert {pattern for _, pattern in within} == set(listed(one["Resource"])), one["Sid"]


def test_no_role_may_do_everything() -> None:
    """No policy allows a wildcard of actions; a wildcard of resources only where AWS has none."""
    for role in resources("AWS::IAM::Role").values():
        for policy in role.get("Policies", ()):
            for one in policy["PolicyDocument"]["Statement"]:
                assert not any("*" in action for action in listed(one["Action"]))
                if one["Resource"] == "*":
                    assert one["Sid"] in {"LambdaEntersVpc", "FetchAnswers", "ReadMetrics"}


@needs_stand_in
@pytest.mark.slow
def test_alarms_and_dashboards_name_metrics_that_are_told(deployed: Deployed) -> None:
    """Every metric of ours that an alarm, CloudWatch's dashboard or Grafana's names was told by a
    part in the flow, with just those dimensions."""
    told = {
        (name, frozenset((key, value if key == "service" else "…") for key, value in d.items()))
        for name, d, _ in metrics(deployed.said)
    }
    plain = {(name, dimensions) for name, dimensions in told}
    searched = {name for name, dimensions in told if len(dimensions) > 1}
    resource = next(
        one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::CloudWatch::Dashboard"
    )
    for parts in ({}, {"CleanPart": "worker", "LoadPart": "worker"}):
        body = cloudformation.resolved(resource["Properties"]["DashboardBody"], KNOWN | parts)
        named = [alarm.metric for alarm in ALARMS.values()] + dashboard_metrics(json.loads(body))
        for namespace, name, dimensions in named:
            if namespace == "Brewtopia":
                assert (name, dimensions) in plain or (not dimensions and name in searched), name
    pipeline = read_dashboard(GRAFANA / "dashboards" / "pipeline.json")
    choices = {one["name"]: one["query"].split(", ") for one in pipeline["templating"]["list"]}
    count = 0
    for title, target in targets(pipeline, "cloudwatch"):
        if target["namespace"] != "Brewtopia":
            continue
        (service,) = target["dimensions"]["service"]
        for part in choices.get(service.removeprefix("$"), [service]):
            assert (target["metricName"], frozenset({("service", part)})) in plain, (title, part)
            count += 1
    assert count > 10


# --- what runs on the instance


def test_the_instances_settings_exist() -> None:
    """Each setting that the instance and the image are given is one, with a value that fits."""
    outputs = {
        stack: dict.fromkeys(cloudformation.read(cloudformation.FOLDER / f)["Outputs"], "x")
        for stack, f in (("Storage", "storage.yaml"), ("Warehouse", "warehouse.yaml"))
    }
    outputs["Storage"]["CleanQueueUrl"] = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/clean"
    outputs["Warehouse"]["WarehouseUri"] = "redshift://workgroup.x/dev"
    given = environment_of_instance(outputs)
    image = (DEPLOY / "Dockerfile").read_text()
    names = [*given, *re.findall(r"\b(BREWTOPIA_\w+)=", image)]
    ours = [name for name in names if name.startswith("BREWTOPIA_")]
    assert len(ours) > 8
    known = {f"BREWTOPIA_{name.upper()}" for name in Settings.model_fields}
    assert set(ours) <= known
    values = {n.removeprefix("BREWTOPIA_").lower(): given[n] for n in ours if n in given}
    assert Settings.model_validate(values).queue == given["BREWTOPIA_QUEUE"]
    assert re.search(r"BREWTOPIA_RUNS=(\S+)", image)[1] == given["BREWTOPIA_RUNS"]  # type: ignore[index]
    for function in resources("AWS::Lambda::Function").values():
        for name in function["Environment"]["Variables"]:
            assert name in known | {"HOME"}, name
    compose = (DEPLOY / "compose.yml").read_text()
    wanted = set(re.findall(r"\$\{(\w+)\}", compose))
    assert wanted <= set(given)
    for source in GRAFANA.glob("provisioning/datasources/*.yaml"):
        assert set(re.findall(r"\$\{(\w+)\}", source.read_text())) <= wanted


def test_the_services_exist() -> None:
    """Each service runs a command that there is, on files that there are, open to nobody else."""
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    for name, service in compose["services"].items():
        if service["image"] == "brewtopia" and "entrypoint" not in service:
            first, *rest = service["command"]
            commands[first].make_context(first, list(rest), resilient_parsing=False)
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            there = (DEPLOY / source).exists() if "/" in source else source in compose["volumes"]
            assert there, volume
    assert "/etc/brewtopia/dashboards" in str(compose["services"]["grafana"]["volumes"])
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/brewtopia.yaml").read_text())
    assert providers["providers"][0]["options"]["path"] == "/etc/brewtopia/dashboards"
    assert (ROOT / compose["x-brewtopia"]["build"]["dockerfile"]).is_file()


def test_the_image_copies_what_is_there() -> None:
    """Each path that the Dockerfile copies is in the checkout, and no state is sent along."""
    image = (DEPLOY / "Dockerfile").read_text()
    copied = [
        path
        for line in re.findall(r"^COPY (?:--\S+ )?(.*)$", image, flags=re.MULTILINE)
        for path in line.split()[:-1]
    ]
    assert copied and all((ROOT / path).exists() for path in copied)
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert {"data", ".venv", "reports/output", "reports/outbox"} <= set(left_out)


def test_the_units_start_what_there_is() -> None:
    """Each unit that is enabled exists, and starts services of the compose file from the folder
    and with the settings that the instance's set-up makes."""
    script = (cloudformation.FOLDER / "instance.yaml").read_text()
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    (enabled,) = re.findall(r"systemctl enable --now (.*)", script)
    units = {path.name: path.read_text() for path in (DEPLOY / "systemd").iterdir()}
    assert set(enabled.split()) <= set(units)
    for name, unit in units.items():
        if name.endswith(".timer"):
            assert name.replace(".timer", ".service") in units
            assert "OnCalendar=*:05" in unit
            continue
        for line in re.findall(r"^Exec\w+=(.*)$", unit, flags=re.MULTILINE):
            assert line.startswith("/usr/bin/docker compose --env-file /etc/brewtopia/environment ")
            if " run " in line:
                assert line.split()[-1] in compose["services"]
        assert "WorkingDirectory=/opt/brewtopia/deploy" in unit
    for path in ("/opt/brewtopia", "/etc/brewtopia/environment"):
        assert path in script


# --- the zip of the functions


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of the functions, made for this Python and unpacked."""
    folder = tmp_path_factory.mktemp("lambda")
    made = subprocess.run(
        [sys.executable, str(DEPLOY / "lambda/build.py"), str(folder / "here.zip"), "--here"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    if made.returncode and "pip" in made.stderr and "brewtopia" not in made.stderr.splitlines()[-1]:
        pytest.skip("pip cannot fetch the functions' packages here: a package registry is needed")
    assert made.returncode == 0, made.stderr
    with zipfile.ZipFile(folder / "here.zip") as archive:
        archive.extractall(folder / "task")
    return folder / "task"


@pytest.mark.slow
def test_the_zip_fits_and_works(unpacked: Path, s3: S3Server, tmp_path: Path) -> None:
    """Unpacked it is below what Lambda takes; a clean interpreter with nothing else runs both
    handlers from it, and an upload is in lake and warehouse; importing takes less than 2 s."""
    size = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024
    s3.put("tills", "raw/leeds.csv", till([Order(minute=n) for n in range(5)]))
    notice = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "tills"}, "object": {"key": "raw/leeds.csv"}},
    }
    script = (
        "import time; begun = time.process_time()\n"
        "from brewtopia_lib.events import clean_handler, load_handler\n"
        "took = time.process_time() - begun\n"
        "import json, sys\n"
        f"event = {json.dumps({'Records': [notice]})}\n"
        "assert clean_handler(event, None) == load_handler(event, None)\n"
        "import brewtopia_lib.warehouse.redshift\n"
        "from brewtopia_lib.warehouse import open_warehouse\n"
        f"rows = open_warehouse({str(tmp_path / 'w.duckdb')!r}).rows('select count(*) from orders')\n"
        "print(json.dumps({'took': took, 'orders': rows[1][0][0],\n"
        "    'paths': [m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)]}))\n"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-S",
            "-E",
            "-B",
            "-c",
            f"import sys; sys.path.insert(0, {str(unpacked)!r})\n{script}",
        ],
        env={
            **s3.environment,
            "BREWTOPIA_RAW": "s3://tills/raw",
            "BREWTOPIA_LAKE": "s3://lake/x",
            "BREWTOPIA_WAREHOUSE": str(tmp_path / "w.duckdb"),
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["orders"] == 5
    assert told["took"] < 2
    strange = [p for p in told["paths"] if "site-packages" in p or p.startswith(str(ROOT))]
    assert not strange
