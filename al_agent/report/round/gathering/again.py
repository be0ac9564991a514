"""What to type, or the Python to run, for a round once more."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from typing import Any

from samplers import Strategy

from ....config import SamplerConfig, SamplingMethod

_FLAGS = {
    "proportion": "--proportion",
    "score": "--score",
    "min_distance": "--min-distance",
    "metric": "--metric",
    "ignore_sparsest": "--ignore-sparsest",
    "score_strength": "--score-strength",
    "distance_strength": "--distance-strength",
    "batch_size": "--batch-size",
    "batch_aggregate": "--batch-aggregate",
    "engine": "--engine",
    "device": "--device",
    "seed": "--seed",
    "name": "--name",
}


def in_python(config: SamplerConfig, *, has_scores: bool) -> str:
    """The lines of Python that ask an agent for the same batch; options that are as by default are left out.

    Examples:
        >>> print(in_python(SamplerConfig(100, method="CORAL", seed=3), has_scores=True))
        from al_agent import SamplerConfig
        batch = agent.query(SamplerConfig(100, method="CORAL", seed=3), scorer)
    """
    values = _given(config)
    words = [str(config.n_samples)] if config.proportion is None else []
    words += [f'method="{config.method}"']
    words += [f"{name}={list(value) if name == 'strategies' else value!r}" for name, value in values.items()]
    names = sorted({"SamplerConfig", *(type(one).__name__ for one in config.strategies)})
    scorer = ", scorer" if has_scores else ""
    return f"from al_agent import {', '.join(names)}\nbatch = agent.query(SamplerConfig({', '.join(words)}){scorer})"


def as_command(config: SamplerConfig, project: str, more: Sequence[str] = ()) -> str | None:
    """The `al-agent query` that picks the same batch, for a shell; None for a method that runs from Python alone.

    Args:
        config: What was asked.
        project: The project's folder.
        more: Further words, such as `--scores FILE`.

    Examples:
        >>> as_command(SamplerConfig(100, method="CORAL", seed=3), "my project")
        "al-agent query 'my project' -n 100 --method CORAL --seed 3"
    """
    if config.sampler().needs_probabilities:  # which files of scores do not hold
        return None
    values = _given(config)
    words = ["al-agent", "query", project]
    words += ["-n", str(config.n_samples)] if config.proportion is None else []
    words += ["--method", str(config.method)]
    before = ""
    if config.strategies:
        wishes = json.dumps([one.to_dict() for one in config.strategies if isinstance(one, Strategy)])
        before = f"printf '%s' {shlex.quote(wishes)} > strategies.json\n"
        words += ["--strategies", "strategies.json"]
    for name, flag in _FLAGS.items():
        if name in values:
            words += [flag, str(values[name])]
    for name, value in config.options.items():
        words += ["--option", f"{name}={json.dumps(value)}"]
    return before + shlex.join([*words, *more])


def _given(config: SamplerConfig) -> dict[str, Any]:
    """Options that are not as by default, but the number and the method."""
    defaults = SamplerConfig(method=SamplingMethod.RANDOM)
    given = {one.name: getattr(config, one.name) for one in dataclasses.fields(config)}
    return {
        name: value
        for name, value in given.items()
        if name not in ("n_samples", "method") and value != getattr(defaults, name) and isinstance(value, _PLAIN)
    }


_PLAIN = (str, int, float, tuple, dict)  # an engine of one's own changes no pick
