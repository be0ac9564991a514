"""One HTML file out of a template, its data and its scripts, which asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from samplers.reasons import in_words

from ...words import counted

if TYPE_CHECKING:
    from jinja2 import Environment

_HALF_SURROGATES = re.compile("[\ud800-\udfff]")
_IN_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_LARGEST = float(np.finfo(np.float32).max)


def render(
    template: str, *, data: Mapping[str, object], scripts: Sequence[str] = (), has_plots: bool = True, **values: object
) -> str:
    """The page that a template of the folder `templates` makes, with everything in it.

    The page forbids itself every request. Scripts run by their digests, so that no script in a name or a label can.

    Args:
        template: Extends `page.html.j2`, whose blocks are `title`, `head`, `header`, `sections` and `footer`.
        data: What the scripts read by `alAgent.data(name)`; see `as_json`.
        scripts: Names of files in the folder, run in order after `page.js`, and each before Plotly is there.
        has_plots: Whether Plotly is put into the page; it is started after the first paint.
        values: What the template reads. Missing values are errors; texts are escaped.

    Raises:
        ImportError: jinja2 or plotly is not installed.
    """
    environment = _environment()
    plotly = _plotly() if has_plots else ""
    sources = [_source(environment, name) for name in ("page.js", *scripts)]
    digests = [_digest(source) for source in (*sources, *((plotly,) if plotly else ()))]
    html = environment.get_template(template).render(
        data=[(name, as_json(value)) for name, value in data.items()],
        scripts=sources,
        digests=digests,
        plotly=plotly,
        style=_source(environment, "page.css"),
        now=moment(datetime.now(timezone.utc)),
        **values,
    )
    return _HALF_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", html)


def as_json(value: object) -> str:
    r"""JSON that can stand inside of a `<script>`, whatever the texts in it.

    Examples:
        >>> print(as_json({"id": "</script>"}))
        {"id":"\u003c/script\u003e"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: _IN_SCRIPTS[found[0]], text)


def packed(values: npt.NDArray[Any]) -> dict[str, str]:
    """Numbers as Plotly takes them: the bytes in base64, little-endian, and their type.

    Fractions become float32, or stay float64 where one is too large for that.

    Examples:
        >>> packed(np.array([1.0, 2.0]))
        {'dtype': 'f4', 'bdata': 'AACAPwAAAEA='}
    """
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        values = values.astype("<f8" if finite.size and np.abs(finite).max() > _LARGEST else "<f4")
    elif values.dtype.kind in "iub":
        values = values.astype(_smallest(values))
    else:
        raise TypeError(f"an array of {values.dtype} cannot be packed; expected numbers")
    return {"dtype": values.dtype.str.lstrip("<|"), "bdata": base64.b64encode(values.tobytes()).decode("ascii")}


def data_uri(content: bytes, kind: str = "image/webp") -> str:
    """An image as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def figure(number: float) -> str:
    """A number for a table: `1,234`, `12.3`, `0.0123`."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else in_words(number)


def moment(at: datetime) -> str:
    """A time in words, which in every country is read alike.

    Examples:
        >>> moment(datetime(2026, 12, 2, 9, 5, tzinfo=timezone.utc))
        '2 December 2026, 09:05 UTC'
    """
    at = at.astimezone(timezone.utc)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%Y, %H:%M} UTC"


def _smallest(values: npt.NDArray[Any]) -> str:
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kinds = ("u1", "<u2", "<i4") if low >= 0 else ("i1", "<i2", "<i4")
    return next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)


def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ImportError(_NEEDED) from error
    environment = Environment(
        loader=PackageLoader("al_agent.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure, counted=counted, moment=moment)
    return environment


_NEEDED = 'the page needs jinja2 and plotly: pip install "al-agent[report]"'


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ImportError(_NEEDED) from error
    source: str = get_plotlyjs()
    if re.search(r"</script|<!--", source, re.IGNORECASE):
        raise ValueError(
            "this version of plotly.js cannot stand inside of a page, as it ends scripts; install another plotly"
        )
    return source


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode('ascii')}'"
