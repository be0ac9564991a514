"""The result of a sampler: items best first, and why each was picked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .pool import Pool
from .showing import N_SHOWN, N_THUMBNAILS, File, Page, PageOptions, Shower, as_table

if TYPE_CHECKING:
    from .quality import Quality


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """A batch of k items, best first.

    Args:
        item_ids: k unique item ids.
        gains: `(k,)` what each pick added when it was picked, in the unit of the method that picked it.
        reasons: One sentence for each pick.
        method: Name of the method.
        note: What should be known of the batch as a whole, such as why it is shorter than asked for; empty if nothing.

    Raises:
        ValueError: Ids doubled, lengths that differ, or a gain that is not finite.
    """

    item_ids: tuple[str, ...]
    gains: npt.NDArray[np.float64]
    reasons: tuple[str, ...]
    method: str = ""
    note: str = ""
    _pool: ClassVar[Any] = None
    """The pool it was picked from, or what makes it, for `quality`; no field, as it is neither shown, copied nor pickled."""
    _metric: ClassVar[str] = "euclidean"
    _shower: ClassVar[Shower | None] = None
    """What knows the project, for `report`; no field for the same reasons."""

    def __post_init__(self) -> None:
        ids: Sequence[str] = tuple(self.item_ids)
        gains = np.array(self.gains, dtype=np.float64)
        gains.flags.writeable = False
        reasons = tuple(self.reasons)
        if len(set(ids)) != len(ids):
            raise ValueError(f"item_ids has {len(ids) - len(set(ids))} doubled ids; a batch holds each item once")
        if gains.shape != (len(ids),) or len(reasons) != len(ids):
            raise ValueError(f"{len(ids)} item ids, gains {gains.shape}, {len(reasons)} reasons; expected one of each")
        if not np.isfinite(gains).all():
            raise ValueError(f"the gain of {ids[int(np.flatnonzero(~np.isfinite(gains))[0])]!r} is not finite")
        object.__setattr__(self, "item_ids", ids)
        object.__setattr__(self, "gains", gains)
        object.__setattr__(self, "reasons", reasons)

    def followed_by(self, others: Selection) -> Selection:
        """This batch, and another one after it."""
        return Selection(
            self.item_ids + others.item_ids,
            np.concatenate([self.gains, others.gains]),
            self.reasons + others.reasons,
            others.method,
            others.note,
        )

    def without_first(self, count: int) -> Selection:
        """This batch without its first items."""
        return Selection(self.item_ids[count:], self.gains[count:], self.reasons[count:], self.method, self.note)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.item_ids)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.item_ids[:3])) + (", ..." if len(self) > 3 else "")
        return f"Selection({len(self):,} items by {self.method or 'unknown'}, best first: {shown})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_pool", "_metric", "_shower")}

    def picked_from(self, pool: Pool | Callable[[], Pool], metric: str | None = None) -> Selection:
        """This selection, which from now on knows its pool, or how to make it, and the metric it was picked by."""
        object.__setattr__(self, "_pool", pool)
        if metric is not None:
            object.__setattr__(self, "_metric", metric)
        return self

    def shown_by(self, shower: Shower) -> Selection:
        """This selection, which from now on knows what shows it."""
        object.__setattr__(self, "_shower", shower)
        return self

    def report(
        self,
        path: File | None = None,
        *,
        images: File | Mapping[str, File] | None = None,
        labels: Mapping[str, str | float] | None = None,
        curve: Sequence[tuple[float, float]] | None = None,
        figure_name: str = "accuracy",
        value_per_point: float | None = None,
        cost_per_label: float | None = None,
        map_method: str | None = None,
        n_thumbnails: int = N_THUMBNAILS,
    ) -> Page:
        """The page of the batch: one HTML file with the map of the pool, the picks, and what is known of them.

        For a batch of `ActiveLearningAgent.query`. What the agent knew then is on the page, and what it did not know is said
        there. The page holds small pictures of the images: think of who may see them.

        Args:
            path: The file; None writes none, and the result shows the page in a notebook.
            images: A folder of the images, or item id to file, where the platform keeps them elsewhere. Nothing is
                downloaded.
            labels: Item id to class, where the platform does not hold labels as text or numbers.
            curve: Number of labels and the figure that the model reached with them, by ascending labels: shares up to 1, or
                percentages.
            figure_name: What the figure is.
            value_per_point: Money that a point more of the figure is worth, for the advice on the next batch; goes together
                with `cost_per_label`.
            cost_per_label: Money for a label.
            map_method: `pca`, `tsne` or `umap`; None takes the project's kept map, or chooses by the number of items.
            n_thumbnails: Most pictures that the map shows.

        Returns:
            The page: `path`, and `missing` with what it cannot show. In a notebook it shows itself.

        Raises:
            ValueError: A batch of no agent, or an option that makes no sense. Nothing is written then.
            ImportError: The extra `report` is not installed.
            OSError: The file cannot be written; what was there before stays.
        """
        if self._shower is None:
            raise ValueError(
                "this batch does not know its project: it was picked by a sampler, copied or read from a file; for the "
                "round of an agent use agent.report(path)"
            )
        options = PageOptions(
            images=images,
            labels=labels,
            curve=curve,
            figure_name=figure_name,
            value_per_point=value_per_point,
            cost_per_label=cost_per_label,
            map_method=map_method,
            n_thumbnails=n_thumbnails,
        )
        return self._shower.report(path, options)

    def _repr_html_(self) -> str:
        return as_table(self, {} if self._shower is None else self._shower.pictures(self.item_ids[:N_SHOWN]))

    def quality(
        self,
        pool: Pool | None = None,
        *,
        n_random: int = 20,
        seed: int | np.random.Generator = 0,
        metric: str | None = None,
        columns: Sequence[str] | None = None,
        near_distance: float | None = None,
        n_measured: int = 10_000,
    ) -> Quality:
        """Figures of the batch beside those of random batches: coverage, outliers, near-duplicates, scores, classes.

        What each figure is, and what it costs: `samplers.quality.quality_of`. Print the result for a table.

        Args:
            pool: The pool as it was when the batch was picked. A selection that comes from `Sampler.select` knows it; one
                that was pickled, copied or read from a file does not.
            n_random: Random batches to compare with, at least 1.
            seed: Draws them, and the samples that are measured.
            metric: `euclidean` or `cosine`; None: that of the method, or `euclidean`.
            columns: Names of the pool's columns to report on; None: all.
            near_distance: Picks nearer than this to a labeled or earlier-picked item are near-duplicates; None: a quarter of
                what is usual in the random batches.
            n_measured: Candidates and picks that distances are measured of, if there are more; for batches of many
                thousands, fewer is faster.

        Raises:
            ValueError: No pool, a batch that was not picked from this one, an empty batch, or an option out of range.

        Examples:
            >>> from samplers import SamplerUncertainty
            >>> pool = Pool(("a", "b", "c"), scores=[1.0, 0.0, 5.0], columns={"site": ["x", "x", "y"]})
            >>> print(SamplerUncertainty().select(pool, 2).quality())
            2 items by UNCERTAINTY, and 20 random batches
                                  batch random    5%    95%
            mean score (score)        3   2.15   0.5      3
            values of site (of 2)     2   1.75     1      2
            largest value of site 50.0%  62.5% 50.0% 100.0%
            No embeddings in the pool: no distances, outliers or near-duplicates.
        """
        from .quality import quality_of  # noqa: PLC0415 - it needs modules that need this one

        known: Any = self._pool if pool is None else pool
        whole = known() if callable(known) else known
        if not isinstance(whole, Pool):
            given = "" if whole is None else f", not {type(whole).__name__}"
            raise ValueError(
                f"this batch does not know the pool it was picked from; pass it as pool: a samplers.Pool{given}"
            )
        row_of = {item_id: row for row, item_id in enumerate(whole.item_ids)}
        for item_id in self.item_ids:
            row = row_of.get(item_id)
            if row is None or whole.is_labeled[row]:
                why = "is not in this pool" if row is None else "is labeled in this pool"
                raise ValueError(f"{item_id!r} of the batch {why}; pass the pool as it was when the batch was picked")
        return quality_of(
            whole,
            np.array([row_of[item_id] for item_id in self.item_ids], dtype=np.int64),
            method=self.method,
            n_random=n_random,
            seed=seed,
            metric=self._metric if metric is None else metric,
            columns=columns,
            near_distance=near_distance,
            n_measured=n_measured,
        )
