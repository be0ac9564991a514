"""`al-agent cost`: whether active learning pays, at the prices of a project."""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer

from ..simulation.cost import CostModel, Costs, Estimate, Way
from ..simulation.cost.in_words import interval, money, number, price
from ..simulation.cost.parts import SECONDS_PER_HOUR
from .options import AsJson
from .output import WIDTH, on_one_line, show, table

_T = TypeVar("_T")


def cost(
    images_without: Annotated[
        float | None,
        typer.Option(help="Images to label without active learning to reach a figure.", show_default="not known"),
    ] = None,
    images_without_interval: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Where that number lies; HIGH may be inf.", show_default="not known"),
    ] = None,
    images_with: Annotated[
        float | None, typer.Option(help="Images to label with it to reach the same figure.", show_default="not known")
    ] = None,
    images_with_interval: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Where that number lies; HIGH may be inf.", show_default="not known"),
    ] = None,
    pool: Annotated[int | None, typer.Option(help="Images that there are.", show_default="not known")] = None,
    labels_per_image: Annotated[float, typer.Option(help="Labels in an image, on average.")] = 1.0,
    labels_per_image_with: Annotated[
        float | None,
        typer.Option(help="The same of images that active learning chooses.", show_default="the same"),
    ] = None,
    label_kind: Annotated[
        str, typer.Option(help="What a label is: box, image, pixel mask, keypoint set, ...; used in texts alone.")
    ] = "label",
    price_per_label: Annotated[float | None, typer.Option(help="Money for a label.", show_default=False)] = None,
    seconds_per_label: Annotated[
        float | None, typer.Option(help="Seconds that an annotator takes for a label.", show_default="not counted")
    ] = None,
    price_per_annotation_hour: Annotated[
        float | None,
        typer.Option(help="In place of a price per label: money for an hour of annotation.", show_default=False),
    ] = None,
    review_share: Annotated[float, typer.Option(help="Share of the labels that are reviewed, 0 to 1.")] = 0.0,
    price_per_review: Annotated[
        float | None, typer.Option(help="Money for the review of a label.", show_default=False)
    ] = None,
    engineer_days: Annotated[float, typer.Option(help="Days of work until active learning runs.")] = 0.0,
    price_per_engineer_day: Annotated[float | None, typer.Option(help="Money for such a day.", show_default=False)] = None,
    development_compute_cost: Annotated[float, typer.Option(help="Money for the compute that this work takes.")] = 0.0,
    price_per_compute_hour: Annotated[
        float | None, typer.Option(help="Money for an hour of training or scoring.", show_default="left out")
    ] = None,
    rounds_without: Annotated[int, typer.Option(help="Trainings without active learning.")] = 1,
    rounds_with: Annotated[int, typer.Option(help="Trainings with it.")] = 1,
    training_hours_without: Annotated[float, typer.Option(help="Compute hours of such a training.")] = 0.0,
    training_hours_with: Annotated[float, typer.Option(help="Compute hours of a training with it.")] = 0.0,
    scoring_hours: Annotated[float, typer.Option(help="Compute hours of a scoring of the pool, each round.")] = 0.0,
    currency: Annotated[str, typer.Option(help="Name of the currency, used in texts alone.", show_default="none")] = "",
    as_json: AsJson = False,
) -> None:
    """Say whether active learning pays, and why.

    Compares what it takes to reach the same figure without and with it. Without the images needed, which a study tells, say
    how many it would have to save.

    Examples:

    al-agent cost --price-per-label 0.05 --labels-per-image 2 --engineer-days 1 --price-per-engineer-day 500

    al-agent cost --images-without 25000 --images-with 20000 --price-per-label 0.07 --labels-per-image 5 --engineer-days 1
    --price-per-engineer-day 500 --currency EUR
    """
    costs = _made(
        lambda: Costs(
            price_per_label=price_per_label,
            label_kind=label_kind,
            review_share=review_share,
            price_per_review=price_per_review,
            seconds_per_label=seconds_per_label,
            price_per_annotation_hour=price_per_annotation_hour,
            engineer_days=engineer_days,
            price_per_engineer_day=price_per_engineer_day,
            development_compute_cost=development_compute_cost,
            price_per_compute_hour=price_per_compute_hour,
            currency=currency,
        ),
        {name: _option(name) for name in Costs.__dataclass_fields__},
    )
    without = _made(
        lambda: Way(
            _estimate(images_without, images_without_interval, "--images-without"),
            labels_per_image=labels_per_image,
            n_rounds=rounds_without,
            training_hours_per_round=training_hours_without,
        ),
        _options_of("without"),
    )
    active = _made(
        lambda: Way(
            _estimate(images_with, images_with_interval, "--images-with"),
            labels_per_image=labels_per_image if labels_per_image_with is None else labels_per_image_with,
            n_rounds=rounds_with,
            training_hours_per_round=training_hours_with,
            scoring_hours_per_round=scoring_hours,
        ),
        {**_options_of("with"), "labels_per_image": "--labels-per-image-with"},
    )
    model = _made(
        lambda: CostModel(costs, without=without, active=active, n_pool=pool),
        {
            "n_images of without": "--images-without",
            "n_images of active": "--images-with",
            "n_pool": "--pool",
            "give None": "leave it out",
        },
    )
    lines = [textwrap.fill(on_one_line(model.sentence), WIDTH, break_on_hyphens=False), "", _table(model)]
    lines += [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in ("", *_times(model), *_break_even(model))]
    lines += [textwrap.fill(f"note: {note}", WIDTH, subsequent_indent="  ") for note in model.notes]
    show(_as_object(model), "\n".join(lines), as_json=as_json)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _options_of(way: str) -> dict[str, str]:
    names = {"n_images": "images", "n_rounds": "rounds", "training_hours_per_round": "training-hours"}
    same = {"labels_per_image": "--labels-per-image", "scoring_hours_per_round": "--scoring-hours"}
    return {**same, **{name: f"--{option}-{way}" for name, option in names.items()}}


def _made(make: Callable[[], _T], options: Mapping[str, str]) -> _T:
    """What is made, or a complaint in which the options stand for the names of Python."""
    try:
        return make()
    except ValueError as error:
        names = "|".join(map(re.escape, options))
        raise typer.BadParameter(re.sub(rf"\b({names})\b", lambda found: options[found[0]], str(error))) from error


def _estimate(images: float | None, interval: tuple[float, float] | None, option: str) -> Estimate | float | None:
    if interval is None:
        return images
    if images is None:
        raise typer.BadParameter(f"{option}-interval is given without {option}; give both")
    try:
        return Estimate(images, *interval)
    except ValueError as error:
        raise typer.BadParameter(f"{option}-interval: {error}") from error


def _table(model: CostModel) -> str:
    """Both ways beside each other; what is saved is negative where active learning takes more."""
    costs, ways = model.costs, (model.without, model.active)
    kind = "" if costs.label_kind == "label" else f" ({textwrap.shorten(costs.label_kind, 12, placeholder='...')})"
    paid_for_labels = [None if way.n_labels is None else way.n_labels * costs.full_price_per_label for way in ways]
    paid_for_compute = [Estimate(way.compute_hours * (costs.price_per_compute_hour or 0.0)) for way in ways]
    set_up = (Estimate(0), Estimate(costs.fixed_cost))
    in_all = [
        None if labels is None else labels + (compute.value + fixed.value)
        for labels, compute, fixed in zip(paid_for_labels, paid_for_compute, set_up)
    ]
    rows = [
        _row("images", number, [way.images for way in ways], model.images_saved),
        _row(f"labels{kind}", number, [way.n_labels for way in ways], model.labels_saved),
        _row("paid for labels", money, paid_for_labels, model.label_saving),
        _row("paid for compute", money, paid_for_compute, Estimate(model.compute_saving)),
        _row("paid to set it up", money, set_up, Estimate(-costs.fixed_cost)),
        _row("paid in all", money, in_all, model.net_saving),
    ]
    header = ["", "without", "with", "saved", "interval"]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, right=(1, 2, 3))


def _row(name: str, in_digits: Callable[[float], str], ways: Sequence[Estimate | None], saved: Estimate | None) -> list[str]:
    cells = ["?" if one is None else in_digits(one.value) for one in (*ways, saved)]
    return [name, *cells, "" if saved is None else interval(saved, in_digits)]


def _times(model: CostModel) -> list[str]:
    hours = [way.compute_hours for way in (model.without, model.active)]
    lines = []
    if any(hours):
        more = model.relative_compute_hours
        lines += [
            f"compute: {hours[1]:,.2f} hours in place of {hours[0]:,.2f}" + ("" if more is None else f" ({more:+.2%})")
        ]
    seconds = model.costs.seconds_per_label
    if seconds is not None and model.relative_seconds is not None:
        in_all = [(way.seconds(seconds) or Estimate(0)).value / SECONDS_PER_HOUR for way in (model.without, model.active)]
        lines += [
            f"compute and {seconds:g} seconds for each label: {in_all[1]:,.2f} hours in place of {in_all[0]:,.2f} "
            f"({model.relative_seconds:+.2%})"
        ]
    return lines


def _break_even(model: CostModel) -> list[str]:
    images, labels, currency = model.break_even_images, model.break_even_labels, model.costs.currency
    share, price_of_label = model.break_even_share_of_pool, model.break_even_price_per_label
    found = []
    if images is not None:
        found.append(f"{number(images)} images saved" + ("" if share is None else f" ({share:.1%} of the pool)"))
    elif labels is not None:
        found.append(f"{number(labels)} labels saved")
    if price_of_label is not None:
        found.append(f"{price(price_of_label, currency)} for a label, in place of {price(model.costs.full_price_per_label)}")
    return [on_one_line(f"break-even: {'; or '.join(found)}")] if found else []


def _as_object(model: CostModel) -> dict[str, Any]:
    return {
        "answer": model.answer.value,
        "sentence": model.sentence,
        "notes": list(model.notes),
        "currency": model.costs.currency,
        "images_without": _numbers(model.without.images),
        "images_with": _numbers(model.active.images),
        "images_saved": _numbers(model.images_saved),
        "labels_without": _numbers(model.without.n_labels),
        "labels_with": _numbers(model.active.n_labels),
        "labels_saved": _numbers(model.labels_saved),
        "full_price_per_label": model.costs.full_price_per_label,
        "label_saving": _numbers(model.label_saving),
        "compute_hours_without": model.without.compute_hours,
        "compute_hours_with": model.active.compute_hours,
        "compute_saving": model.compute_saving,
        "gross_saving": _numbers(model.gross_saving),
        "fixed_cost": model.costs.fixed_cost,
        "net_saving": _numbers(model.net_saving),
        "break_even_labels": model.break_even_labels,
        "break_even_images": model.break_even_images,
        "break_even_images_exact": model.break_even_images_exact,
        "break_even_share_of_pool": model.break_even_share_of_pool,
        "break_even_price_per_label": model.break_even_price_per_label,
        "why_no_break_even": model.why_no_break_even or None,
        "relative_compute_hours": model.relative_compute_hours,
        "relative_seconds": model.relative_seconds,
    }


def _numbers(estimate: Estimate | None) -> dict[str, float | None] | None:
    """The number and its ends; JSON has no infinity, so that an open end is null, as one that is not known."""
    if estimate is None:
        return None
    ends = {name: end for name, end in dataclasses.asdict(estimate).items() if end is None or math.isfinite(end)}
    return {"value": estimate.value, "low": None, "high": None, **ends}
