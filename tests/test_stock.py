"""The inventory as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from comfywatch.commands.stock import age, show
from comfywatch.inventory import Inventory, merge

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=3), "5 hours ago"),
        (timedelta(days=40), "40 days ago"),
        (timedelta(seconds=-5), "in the future, by this machine's clock"),
    ],
)
def test_the_age_is_said_in_the_largest_unit(passed: timedelta, said: str) -> None:
    assert age(AT, now=AT + passed) == said


def test_an_inventory_that_says_nothing_is_shown_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    show(Inventory(), now=AT)
    assert capsys.readouterr().out.splitlines() == [
        "ComfyUI (version not known)",
        "From when it is, it does not say",
        "It does not say who looked: what is listed is there, and there may be more.",
        "",
        "node classes: not known",
        "packages: not known",
        "",
        "models: not known",
    ]


def test_what_comfyui_did_not_list_itself_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    before = Inventory.parse(b'{"mode": "offline", "models": {"theirs": ["t.pt"], "clip": ["old.pt"]}}')
    show(merge(before, Inventory.online({}, ["A"], {"loras": ["l.pt"]}, AT, packages=["P"])), now=AT)
    said = capsys.readouterr().out
    assert "clip *    1  old.pt" in said
    assert "theirs *  1  t.pt" in said
    assert "* ComfyUI itself did not list this folder" in said
    assert "loras     1  l.pt" in said
    assert "packages: 1 (P)" in said


def test_every_line_fits_eighty_columns_but_for_names(capsys: pytest.CaptureFixture[str]) -> None:
    show(Inventory.online({}, [], {f"folder_{number}": [] for number in range(40)}, AT), now=AT)
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
