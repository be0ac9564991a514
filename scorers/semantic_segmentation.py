"""Uncertainty scores for semantic segmentation."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from .checks import FloatArray
from .options import checked_aggregations
from .pixel_aggregation import aggregate_pixels, check_pixel_aggregation
from .pixels import Scratch, score_areas, score_names
from .predictions import SegmentationPredictions
from .predictions.pixel_map import Area, PixelMap
from .predictions.pixel_source import check_same_classes
from .scorer import Scorer
from .scores import Scores

_AREAS_PER_JOB = 8
_MOST_THREADS = 8


class ScorerSemanticSegmentation(Scorer[SegmentationPredictions]):
    """Scores of the pixels of each image, averaged over the image.

    With p1 and p2 the two largest of a pixel's c probabilities, and H the entropy over its maximum,
    `H(p) = -sum(p log2 p) / log2 c`:

    | score | mean over pixels of |
    | --- | --- |
    | `uncertainty_least_confidence` | `(1 - p1) / (1 - 1/c)` |
    | `uncertainty_margin` (default) | `1 - (p1 - p2)` |
    | `uncertainty_entropy` | `H(p)` |
    | `bald`, only with passes | `H(mean over passes of p) - mean over passes of H(p)` |
    | `variation_ratio`, only with passes | 1 - share of the passes that agree on the most frequent class |

    With passes, the first three are those of the mean over passes. All lie in `[0, 1]`; those of float16 and float32 maps
    are right to 1e-6. With `aggregations`, every score also comes as `<score>_<aggregation>`: the mean of an image hides one
    confusing spot on a calm road, which `region32_max` finds.

    A number depends on its own image alone, and not on chunks, threads or the layout of its map in memory. Maps in files are
    read by the threads that score them when they come as memory maps, `np.load(path, mmap_mode="r")`, which is the fastest.
    Memory: blocks, beside the map being scored and, where maps are made or read one by one, the next; with aggregations a
    plane of pixels for each score.

    Args:
        predictions: `SegmentationPredictions` of n images, or an iterable of them: see `SegmentationPredictions.stream`.
        aggregations: More aggregations of every score: `max`; `top<p>_percent_mean` such as `top10_percent_mean`, the mean
            of the p percent highest pixels; `region<s>_max` such as `region32_max`, the highest mean of the windows of
            s x s pixels that the image is cut into.
        n_threads: How many threads score a map; None for the processors there are, at most 8.

    Raises:
        ValueError: An option is out of range; at `scores`, a pixel's values are no distribution, or a chunk has not as many
            classes as the first.

    Examples:
        >>> from scorers import SegmentationPredictions
        >>> calm, spot = np.full((2, 4, 2), [0.9, 0.1]), np.full((2, 4, 2), [1.0, 0.0])
        >>> spot[0, 0] = [0.5, 0.5]
        >>> scorer = ScorerSemanticSegmentation(
        ...     SegmentationPredictions(["calm.png", "spot.png"], [calm, spot]), aggregations=["region2_max"]
        ... )
        >>> scores = scorer.scores()
        >>> scores.column("uncertainty_margin").round(3).tolist()
        [0.2, 0.125]
        >>> scores.column("uncertainty_margin_region2_max").round(3).tolist()
        [0.2, 0.25]

    References:
        The three uncertainties and their mean follow the Lightly SDK 1.2 (2021-2023).
        `bald`: N. Houlsby, F. Huszár, Z. Ghahramani and M. Lengyel, 2011, arXiv:1112.5745; Y. Gal, R. Islam and
        Z. Ghahramani, 2017, arXiv:1703.02910.
        `variation_ratio`: L. C. Freeman, Elementary Applied Statistics, 1965, Wiley.
    """

    takes = SegmentationPredictions
    default = "uncertainty_margin"

    def __init__(
        self,
        predictions: SegmentationPredictions | Iterable[SegmentationPredictions],
        *,
        aggregations: Iterable[str] = (),
        n_threads: int | None = None,
    ) -> None:
        super().__init__(predictions)
        self._aggregations = checked_aggregations(aggregations, check_pixel_aggregation)
        if n_threads is not None and (type(n_threads) is not int or n_threads < 1):
            raise ValueError(f"n_threads is {n_threads!r}; expected a whole number of 1 or more, or None")
        self._n_threads = n_threads or min(_n_processors(), _MOST_THREADS)
        self._threads: ThreadPoolExecutor | None = None
        self._scratch: Scratch | None = None
        self._n_empty = 0
        self._first: tuple[str, int] | None = None

    def score_chunk(self, predictions: SegmentationPredictions) -> Mapping[str, npt.NDArray[np.float64]]:
        """The scores of n images; time O(pixels c) for each pass."""
        classes = (predictions.item_ids[0], predictions.n_classes)
        self._first = self._first or classes
        check_same_classes(classes, self._first)
        rows: list[list[float]] = []
        work = self._begin(predictions, 0)
        for row in range(len(predictions)):
            following = self._begin(predictions, row + 1) if row + 1 < len(predictions) else work
            rows.append(work.result())
            self._n_empty += not work.n_pixels
            work = following
        names = score_names(predictions.has_passes)
        names += tuple(f"{name}_{how}" for how in self._aggregations for name in names)
        return dict(zip(names, np.array(rows, dtype=np.float64).T))

    def finish(self, scores: Scores) -> None:
        """Warn of images none of whose pixels is looked at."""
        if self._n_empty:
            warnings.warn(
                f"{self._n_empty:,} of {len(scores):,} items have masks that leave out all pixels; they get 0 and come last",
                stacklevel=5,
            )

    def _chunks(self) -> Iterator[SegmentationPredictions]:
        """The chunks, and threads to score them. No chunk is asked for early: a generator may use one array again."""
        self._n_empty = 0
        self._first = None
        self._scratch = Scratch()
        try:
            with ThreadPoolExecutor(self._n_threads) as self._threads:
                yield from super()._chunks()
        finally:
            self._threads = self._scratch = None

    def _begin(self, predictions: SegmentationPredictions, row: int) -> _Work:
        return _Work(predictions.pixel_map(row), self._aggregations, self._scratch or Scratch(), self._threads)


class _Work:
    """One image being scored: jobs of several blocks each, done by threads or, without threads, when asked."""

    def __init__(
        self, pixel_map: PixelMap, aggregations: tuple[str, ...], scratch: Scratch, threads: ThreadPoolExecutor | None
    ) -> None:
        self.pixel_map = pixel_map
        self.scratch = scratch
        self.aggregations = aggregations
        self.threads = threads
        self.names = score_names(pixel_map.has_passes)
        areas = list(pixel_map.areas())
        self.n_pixels = sum(map(pixel_map.n_looked_at, areas))
        self.planes: FloatArray | None = None
        if aggregations:
            dtype = np.float64 if pixel_map.has_passes else pixel_map.dtype
            self.planes = np.zeros((len(self.names), *pixel_map.size), dtype=dtype)
        self.parts: list[list[Area]] = [
            areas[start : start + _AREAS_PER_JOB] for start in range(0, len(areas), _AREAS_PER_JOB)
        ]
        self.futures: list[Future[list[float]]] = []
        if threads is not None and len(self.parts) > 1:
            self.futures = [threads.submit(self._score, part) for part in self.parts]

    def result(self) -> list[float]:
        """The means of all scores over the image, then every aggregation of each score.

        Raises:
            ValueError: A pixel's values are no distribution: the first such block's message.
        """
        sums = [future.result() for future in self.futures] if self.futures else list(map(self._score, self.parts))
        if not self.n_pixels:
            return [0.0] * (len(self.names) * (1 + len(self.aggregations)))
        values = [math.fsum(column) / self.n_pixels for column in zip(*sums)]
        if self.planes is not None:
            wanted = [(plane, how) for how in self.aggregations for plane in self.planes]
            do = map if self.threads is None else self.threads.map
            values += do(self._aggregate, wanted)
        return values

    def _score(self, areas: list[Area]) -> list[float]:
        """The sum of each score over the pixels of some areas."""
        scores = score_areas(self.pixel_map, areas, self.scratch)
        if self.planes is not None:
            start = 0
            for area in areas:
                places = self.planes[:, area[0], area[1]]
                stop = start + self.pixel_map.n_looked_at(area)
                if self.pixel_map.mask is None:
                    places[...] = scores[:, start:stop].reshape(places.shape)
                else:
                    places[:, self.pixel_map.mask[area]] = scores[:, start:stop]
                start = stop
        sums: list[float] = scores.sum(axis=1, dtype=np.float64).tolist()
        return sums

    def _aggregate(self, wanted: tuple[FloatArray, str]) -> float:
        return aggregate_pixels(*wanted, mask=self.pixel_map.mask)


def _n_processors() -> int:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
