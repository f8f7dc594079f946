"""Which image a box boots."""

from __future__ import annotations

import pytest
from support.aws_account import IMAGE_NAME, Account

from dlcli.aws.cloud import Cloud
from dlcli.aws.machine_image import find_image
from dlcli.errors import DlError


def test_the_newest_deep_learning_image_is_asked_of_systems_manager(aws: Account) -> None:
    image = find_image(Cloud(None, "us-east-1"), "x86_64")
    assert (image.id, image.name, image.root_device) == (aws.image, IMAGE_NAME, "/dev/sda1")
    assert aws.calls.count("DescribeImages") == 1


def test_where_that_is_closed_it_is_found_by_its_name(aws: Account) -> None:
    aws.refuse("GetParameters", "AccessDeniedException")
    assert find_image(Cloud(None, "us-east-1"), "x86_64").id == aws.image


def test_a_region_without_one_is_said(aws: Account) -> None:
    with pytest.raises(DlError, match="no Deep Learning Base image for x86_64 in eu-west-1"):
        find_image(Cloud(None, "eu-west-1"), "x86_64")


def test_an_image_can_be_named(aws: Account) -> None:
    cloud = Cloud(None, "us-east-1")
    assert find_image(cloud, "x86_64", aws.image).id == aws.image
    with pytest.raises(DlError, match="no image ami-00000000"):
        find_image(cloud, "x86_64", "ami-00000000")
    with pytest.raises(DlError, match=r"cannot boot on this type"):
        find_image(cloud, "arm64", aws.image)
