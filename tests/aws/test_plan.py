"""What `up` decides, of what is wanted and what there is; nothing is asked or changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.aws.boxes import LIVE, Box
from dlcli.aws.plan import Existing, Plan, Spec, plan_up
from dlcli.errors import DlError

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
MINE = "203.0.113.7/32"
SPEC = Spec("cats", "arn:aws:iam::123456789012:user/ada", "cats", "g6.xlarge", networks=(MINE,))
BOX = Box(
    id="i-1",
    name="cats",
    owner=SPEC.owner,
    project="cats",
    state="running",
    type="g6.xlarge",
    region="us-east-1",
    zone="us-east-1a",
    launched=datetime(2026, 11, 23, 12, tzinfo=UTC),
)
boxes = st.builds(
    replace,
    st.just(BOX),
    state=st.sampled_from(LIVE),
    type=st.sampled_from(["g6.xlarge", "g5.xlarge"]),
)
existing = st.builds(
    Existing,
    boxes=st.lists(boxes, max_size=2).map(tuple),
    zones=st.lists(st.sampled_from(ZONES), unique=True).map(tuple),
    key_there=st.booleans(),
    vpc=st.none() | st.just("vpc-1"),
    subnets=st.dictionaries(st.sampled_from(ZONES), st.just("subnet-1")),
    group=st.none() | st.just("sg-1"),
    allowed=st.frozensets(st.sampled_from([MINE, "0.0.0.0/0", "192.0.2.1/32"])),
)
specs = st.builds(
    replace,
    st.just(SPEC),
    type_named=st.booleans(),
    spot=st.booleans(),
    zone=st.none() | st.sampled_from(ZONES),
)


def actions(plan: Plan) -> list[str]:
    return [step.action for step in plan.steps]


@given(specs, existing)
def test_a_plan_reconciles(spec: Spec, there: Existing) -> None:
    try:
        plan = plan_up(spec, there)
    except DlError:
        # refused alone for another type, or where no zone is left
        others = there.boxes and (
            (spec.type_named and there.boxes[0].type != spec.type)
            or spec.zone not in (None, there.boxes[0].zone)
        )
        left = [z for z in there.zones if not there.subnets or z in there.subnets]
        assert others or (
            not there.boxes and (not left or (spec.zone is not None and spec.zone not in left))
        )
        return
    doing = actions(plan)
    assert len(set(doing)) == len(doing)
    assert ("launch" in doing) == (not there.boxes)
    assert ("start" in doing) == bool(there.boxes and not there.boxes[0].running)
    assert ("key" in doing) <= ("launch" in doing)
    assert ("group" in doing) == (there.group is None)
    assert ("ingress" in doing) == (there.allowed != {MINE})
    # the door is in place before anything costs money
    assert doing == sorted(
        doing, key=["key", "network", "group", "ingress", "start", "launch"].index
    )
    assert plan.rents == bool({"start", "launch"} & set(doing))
    if plan.box is None:
        assert plan.zones
        assert set(plan.zones) <= set(there.zones)
        assert spec.zone is None or plan.zones == (spec.zone,)


@given(specs, existing)
def test_what_a_plan_brought_about_needs_no_plan(spec: Spec, there: Existing) -> None:
    try:
        plan = plan_up(spec, there)
    except DlError:
        return
    new = replace(BOX, type=spec.type, zone=spec.zone or BOX.zone)
    box = replace(plan.box or new, state="running")
    after = replace(
        there, boxes=(box,), key_there=True, group="sg-1", allowed=frozenset(spec.networks)
    )
    assert plan_up(spec, after).steps == ()


def test_another_type_is_no_contradiction_where_none_was_typed() -> None:
    other = replace(BOX, type="g5.xlarge")
    assert plan_up(SPEC, Existing(boxes=(other,), group="g", allowed=frozenset({MINE}))).steps == ()
    with pytest.raises(DlError, match=r"is a g5\.xlarge, not a g6\.xlarge"):
        plan_up(replace(SPEC, type_named=True), Existing(boxes=(other,)))
