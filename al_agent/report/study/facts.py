"""What the page of a study shows, as one value; what is missing is empty, and the page says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...simulation.figures import Curves


@dataclass(frozen=True, eq=False)
class StudyFacts:
    """All that the page of a study shows.

    Args:
        sentence: Whether it pays, and how sure that is.
        curves: The runs over images, and over each other unit that the labels were counted in; empty where nothing can be
            compared.
        methods: All methods of the study.
        against: The method that the others are compared with; empty where there are no runs to pair.
        best: The method that the sentence is about; empty where none can be compared.
        figure_name: What was measured.
        n_runs: Of all methods and seeds, those that failed among them.
        failures: Method and seed of each run that failed, and why.
        counts: What was counted in the end, `classes` or `duplicates` as a share of the labels, to each method's mean.
        notes: What else has to be known, in sentences.
        arguments: What the result depends on, as `Study.arguments` tells it; empty where it is not known.
        command: What to type for the same study again; empty where it is not known.
        cost_command: What to type to put prices on it; empty where the best method saves nothing that is known.
    """

    sentence: str
    curves: tuple[Curves, ...] = ()
    methods: tuple[str, ...] = ()
    against: str = "RANDOM"
    best: str = ""
    figure_name: str = "test accuracy"
    n_runs: int = 0
    failures: Mapping[tuple[str, int], str] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)
    command: str = ""
    cost_command: str = ""
