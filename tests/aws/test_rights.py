"""The rights that the page on `dl aws` asks for are those that its code uses, no more nor less."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import botocore.session
from botocore import xform_name

import dlcli

SOURCES = sorted((Path(dlcli.__file__).parent / "aws").glob("*.py"))
PAGE = Path(dlcli.__file__).parent.parent / "docs" / "aws.md"
# service of boto3 -> its prefix in IAM
SERVICES = {
    "ec2": "ec2",
    "sts": "sts",
    "ssm": "ssm",
    "pricing": "pricing",
    "service-quotas": "servicequotas",
    "ec2-instance-connect": "ec2-instance-connect",
}
# Who one is anybody may ask; a first spot box makes EC2 make a role.
NEVER_ASKED, BESIDE = {"sts:GetCallerIdentity"}, {"iam:CreateServiceLinkedRole"}


def words_of(source: Path) -> set[str]:
    """All that a call may be named by: attributes, and texts, as paginators take them."""
    tree = ast.parse(source.read_text())
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return found | {text for text in texts if isinstance(text, str)}


def test_the_page_names_the_rights_that_the_code_uses() -> None:
    words = set().union(*map(words_of, SOURCES))
    session = botocore.session.get_session()
    used = set()
    for service, prefix in SERVICES.items():
        assert service in words
        names = session.get_service_model(service).operation_names
        used |= {f"{prefix}:{name}" for name in names if xform_name(name) in words}
        if service == "ec2":
            waiters = session.get_waiter_model(service)
            used |= {
                f"{prefix}:{waiters.get_waiter(name).operation}"
                for name in waiters.waiter_names
                if xform_name(name) in words
            }
    # every client that is made is one of these services
    made = re.findall(r'client\("([\w-]+)"', "".join(each.read_text() for each in SOURCES))
    assert set(made) <= set(SERVICES)
    (policy,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Action"] == sorted(statement["Action"])
    assert set(statement["Action"]) == used - NEVER_ASKED | BESIDE
