"""What a notebook shows of a batch, without knowing more than the batch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from samplers import Selection
from samplers.showing import N_SHOWN, File, PageOptions, as_table


def selection(*item_ids: str, reason: str = "", note: str = "") -> Selection:
    return Selection(item_ids, np.arange(len(item_ids), dtype=float)[::-1], (reason,) * len(item_ids), "CORAL", note)


class Page:
    """A page that was made."""

    path = None
    missing = ("the scores",)

    def _repr_html_(self) -> str:
        return "<p>a page</p>"


class Shower:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: tuple[File | None, PageOptions] | None = None

    def report(self, path: File | None, options: PageOptions) -> Page:
        self.asked = (path, options)
        return Page()

    def pictures(self, item_ids: Sequence[str]) -> Mapping[str, str]:
        return {item_ids[0]: "data:image/jpeg;base64,AAAA"}


def test_a_batch_is_a_table_in_order_with_its_note() -> None:
    shown = selection("b", "a", reason="far from all", note="stopped early")._repr_html_()
    assert "<strong>2 items</strong> by <bdi>CORAL</bdi>" in shown
    assert shown.index("<bdi>b</bdi>") < shown.index("<bdi>a</bdi>")
    assert "<td>1</td><td" in shown
    assert ("far from all" in shown, "stopped early" in shown, "<img" in shown) == (True, True, False)


def test_only_the_first_picks_are_shown_and_the_number_of_all() -> None:
    shown = selection(*(f"{n}.png" for n in range(1_500)))._repr_html_()
    assert shown.count("<tr>") == N_SHOWN + 1
    assert f"The first {N_SHOWN} of 1,500." in shown
    assert "<strong>1 item</strong>" in selection("a")._repr_html_()


def test_names_and_reasons_are_escaped_clipped_and_can_be_sent() -> None:
    shown = selection("<script>x</script>", "half \ud800", "' onerror='", reason="<b>" * 500)._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&#x27; onerror=&#x27;" in shown
    shown.encode("utf-8")
    assert len(shown) < 10_000


def test_the_address_of_a_picture_stays_in_its_attribute() -> None:
    shown = as_table(selection("a"), {"a": "data:,' onload='alert(1)"})
    assert "src='data:,&#x27; onload=&#x27;alert(1)'" in shown


def test_whoever_picked_the_batch_makes_its_page_and_its_pictures() -> None:
    shower = Shower()
    batch = selection("a", "b").shown_by(shower)
    assert batch.report("round.html", n_thumbnails=7).missing == ("the scores",)
    assert shower.asked == ("round.html", PageOptions(n_thumbnails=7))
    assert batch._repr_html_().count("<img alt='' src='data:image/jpeg;base64,AAAA'>") == 1


def test_copies_and_pickles_do_not_carry_what_shows_them() -> None:
    batch = selection("a", "b").shown_by(Shower())
    for again in (copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert "<img" not in again._repr_html_()
        with pytest.raises(ValueError, match=r"use agent.report\(path\)"):
            again.report()
