"""The agent of a project: its sets of items, the next batch, and the way of that batch to the platform."""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samplers import Pool, Sampler, SamplerJoint, SamplerPrototypes, Selection
from samplers.showing import N_THUMBNAILS, PageOptions
from scorers import ClassificationPredictions, EnsemblePredictions, Scorer, ScorerObjectDetection, Scores

from . import export, priorities
from .config import SamplerConfig
from .embedding import Embeddings
from .errors import NoRoundYet, PlatformError
from .guesses import Preannotations, guesses_of
from .join import Joined, make_pool
from .journal import Journal, Round, default_path, now
from .listing import Changes, Listing
from .metadata import Metadata
from .platforms.base import ChecksGuesses, ChecksSettings, Guess, Item, Platform, PushReport
from .report.round.gathering.marks import Predictions
from .report.round.gathering.seen import Seen, seen_in
from .report.round.reporter import Reporter

if TYPE_CHECKING:
    from .report.page.report import Report

_SCORER_OF = {
    "ClassificationPredictions": "ScorerClassification",
    "DetectionPredictions": "ScorerObjectDetection",
    "EnsemblePredictions": "ScorerEnsemble",
    "KeypointPredictions": "ScorerKeypointDetection",
    "SegmentationPredictions": "ScorerSemanticSegmentation",
}


class ActiveLearningAgent:
    """Keeps the sets of a project, picks the next batch, and puts it at the head of the labeling queue.

    The sets are tuples of item ids, listed once and then free to read; `refresh` and `query` list the platform again.

    Args:
        platform: The annotation platform's project.
        embeddings: A vector for each item, for the methods that compare images.
        metadata: Columns of facts, for the strategies of JOINT that read them, such as a video or a cost.
        journal: File of the record of rounds; None keeps it in the project's folder, or for a remote project in
            `~/.al-agent/rounds` (or below `AL_AGENT_HOME`).

    Examples:
        >>> import tempfile
        >>> from al_agent import ClassificationPredictions, PlatformLocal, SamplerConfig, ScorerClassification
        >>> platform = PlatformLocal.create(tempfile.mkdtemp(), images=["a.png", "b.png", "c.png"])
        >>> agent = ActiveLearningAgent(platform)
        >>> predictions = ClassificationPredictions(agent.query_set, [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
        >>> batch = agent.query(SamplerConfig(n_samples=2, method="UNCERTAINTY"), ScorerClassification(predictions))
        >>> batch.item_ids, batch.reasons[0]
        (('b.png', 'c.png'), 'uncertainty_margin 1, 66th percentile')
        >>> [item.id for item in platform.next_items(3)]
        ['b.png', 'c.png', 'a.png']
    """

    def __init__(
        self,
        platform: Platform,
        *,
        embeddings: Embeddings | None = None,
        metadata: Metadata | None = None,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        if embeddings is not None and not isinstance(embeddings, Embeddings):
            raise ValueError(f"embeddings is {type(embeddings).__name__}; expected Embeddings(item_ids, vectors)")
        if metadata is not None and not isinstance(metadata, Metadata):
            raise ValueError(f"metadata is {type(metadata).__name__}; expected Metadata(item_ids, columns)")
        if isinstance(platform, str | os.PathLike):
            raise ValueError(f"platform is the path {os.fspath(platform)!r}; pass PlatformLocal({os.fspath(platform)!r})")
        self._platform = platform
        self._embeddings = embeddings
        self._metadata = metadata
        self._journal = Journal(default_path(platform) if journal is None else journal, project=platform.key)
        self._cached_listing: Listing | None = None
        self._cached_round: Round | None = None
        self._shown: Listing | None = None  # what the user last saw of the sets, and so could predict on
        self._gone: set[str] = set()  # items that this agent has seen and that were gone later
        self._reporter: Reporter | None = None  # of the last round that this agent made

    @property
    def platform(self) -> Platform:
        """The platform's project."""
        return self._platform

    @property
    def query_set(self) -> tuple[str, ...]:
        """Every item asked about, in platform order, whatever state it is in."""
        return self._show().item_ids

    @property
    def labeled_set(self) -> tuple[str, ...]:
        """The items that the platform says are labeled, in platform order."""
        return self._listing.labeled

    @property
    def unlabeled_set(self) -> tuple[str, ...]:
        """The items that can still be labeled, in platform order; without those partly labeled, skipped or locked."""
        return self._show().unlabeled

    @property
    def added_set(self) -> tuple[str, ...]:
        """The last round's picks, best first, pushed or not; a new agent of the project knows them too.

        Raises:
            NoRoundYet: There was no round.
        """
        return self.last_round.selection.item_ids

    @property
    def last_round(self) -> Round:
        """The last round, read once; `refresh` looks for a newer one that another process has made.

        Raises:
            NoRoundYet: There was no round.
        """
        if self._cached_round is None:
            self._cached_round = self._journal.last_round()
        if self._cached_round is None:
            raise NoRoundYet("there was no round in this project yet: query for one first")
        return self._cached_round

    @property
    def history(self) -> tuple[Round, ...]:
        """All rounds of the project, oldest first, read from the journal."""
        return self._journal.rounds()

    @property
    def counts(self) -> dict[str, int]:
        """Number of items that are `unlabeled`, `labeled`, `partly` labeled, `skipped` and `locked`."""
        return self._listing.counts()

    def items(self, item_ids: Iterable[str]) -> tuple[Item, ...]:
        """The platform's items of these ids, in this order. Lists the platform: time O(n).

        Raises:
            ValueError: An item is not in the project.
        """
        if isinstance(item_ids, str):
            raise ValueError(f"item_ids is the single {item_ids!r}; write [{item_ids!r}]")
        wanted = tuple(item_ids)
        needed = set(wanted)
        found = {item.id: item for item in self._platform.list_items() if item.id in needed}
        missing = [item_id for item_id in wanted if item_id not in found]
        if missing:
            raise ValueError(f"{len(missing):,} items are not in the project, the first is {missing[0]!r}")
        return tuple(found[item_id] for item_id in wanted)

    def refresh(self) -> Changes:
        """List the platform again, and say what has changed since the last time.

        Raises:
            PlatformError: The platform did not give a complete list; the sets stay as they were.
        """
        before = self._cached_listing
        after = Listing.of(self._platform, before)
        self._cached_listing = after
        self._cached_round = None
        if before is None:
            return Changes((), (), ())
        changes = before.changes_to(after)
        self._gone.update(changes.vanished)
        self._gone.difference_update(changes.appeared)
        return changes

    def query(
        self,
        config: SamplerConfig,
        scorer: Scorer[Any] | Scores | ClassificationPredictions | EnsemblePredictions | None = None,
        *,
        push: bool = True,
        preannotate: Preannotations | None = None,
        verify: bool = False,
        on_pick: Callable[[int], object] | None = None,
        resume: Selection | None = None,
    ) -> Selection:
        """Pick the next batch, note it as a round, and push it to the platform.

        The platform is listed first, so nobody is asked for a label that is there already. Items that could not be labeled
        when you last read `query_set` or `unlabeled_set` of this agent, and that scores or embeddings do not cover, wait
        for the next round; scores and embeddings of items that have gone since are left out. Both are warned of and noted
        in the round. An agent whose sets you have not read, as on the command line, asks for all items to be covered.

        Args:
            config: What to pick.
            scorer: A scorer, or its scores, for the methods that use a score (AUTO can do without); a scorer, or its
                predictions, for those that read class probabilities (BADGE, and BALD and BATCH_BALD those of a committee).
                It covers the query set or the unlabeled set, in any order.
            push: False is the dry run: the round is noted and nothing is sent. `push()` sends it later.
            preannotate: Predictions that annotators are shown with the picks, where the platform can: the likeliest class,
                or the boxes. They are kept with the round, for a push that is finished later.
            verify: Read back what the platform stored, and report what is not as it was sent.
            on_pick: Called with the number of picks made since the last call, for a progress bar.
            resume: The `selection` of a `SelectionInterrupted`, to go on from there.

        Returns:
            The batch, best first.

        Raises:
            ValueError: More items than can be labeled, scores or embeddings that are missing or of unknown items, an unknown
                score name, or something that the platform cannot do. Nothing is changed then.
            JournalError: The round cannot be noted. Nothing is changed then.
            SelectionInterrupted: The keyboard stopped the picking; it holds the picks so far, and nothing is changed.
            PlatformError: The platform cannot be listed, and nothing is changed; or the push failed, and the round is kept:
                `push()` resumes it.
        """
        if not isinstance(config, SamplerConfig):
            raise ValueError(f"config is {type(config).__name__}; expected a SamplerConfig")
        if preannotate is not None:
            self._check_can("preannotations", "pre-annotations")
        if verify:
            self._check_can("verify", "reading back")
        sampler = config.sampler()
        scores = _scores(scorer) if sampler.takes_scores else None
        self._check_there(config, sampler, scores)
        columns = sampler.columns if isinstance(sampler, SamplerJoint) else ()
        predictions = _predictions(scorer, str(config.method)) if sampler.needs_probabilities else None
        embeddings = self._embeddings if sampler.takes_vectors else None
        score_name = None if scores is None else scores.name_or_default(config.score)

        self.refresh()
        listing = self._listing
        if not listing.unlabeled:
            raise ValueError(f"there is nothing to pick: of {len(listing):,} items, none waits for a label")
        n_samples = config.count(len(listing.unlabeled))
        if n_samples > len(listing.unlabeled):
            n_left = f"{len(listing.unlabeled):,} item{'s' * (len(listing.unlabeled) > 1)}"
            raise ValueError(f"n_samples is {n_samples:,}, and {n_left} can still be labeled; ask for no more")
        joined = make_pool(
            listing,
            scores=scores,
            score_name=score_name,
            embeddings=embeddings,
            predictions=predictions,
            metadata=self._metadata if columns or isinstance(sampler, SamplerPrototypes) else None,
            may_miss=listing.opened_since(self._shown or listing),
            may_be_gone=self._gone,
        )
        selection = sampler.select(joined.pool, n_samples, seed=config.seed, on_pick=on_pick, resume=resume)
        if not len(selection):
            raise ValueError(f"nothing can be picked: {selection.note}")
        given = scorer if isinstance(scorer, Scores) else scores
        selection.picked_from(self._whole_pool(listing, given, score_name, joined.pool), sampler.metric_used)
        notes = _notes(joined, selection)
        guesses = None if preannotate is None else guesses_of(preannotate, selection.item_ids)
        if guesses and isinstance(self._platform, ChecksGuesses):
            self._platform.check_guesses(guesses)
        current = self._journal.add_round(
            Round(
                number=0,
                name=config.name or "",
                created_at=now(),
                config=config,
                score=score_name,
                scores_digest=None if scores is None else scores.digest,
                embeddings_digest=None if embeddings is None else embeddings.digest,
                counts=listing.counts(),
                notes=notes,
                selection=selection,
            ),
            guesses,
        )
        self._cached_round = current
        self._reporter = Reporter(
            self._platform,
            self._journal,
            current.number,
            embeddings=self._embeddings,
            metadata=self._metadata,
            scores=given,
            seen=_seen(scorer, selection.item_ids, listing),
            listing=listing,
        )
        selection.shown_by(self._reporter)
        if push:
            self._push(current, listing, verify=verify)
        for note in notes:  # last, so that warnings that are errors stop nothing
            warnings.warn(note, stacklevel=2)
        return selection

    def push(self, *, verify: bool = False) -> PushReport:
        """Bring the last round to the platform, or finish bringing it; only what differs is sent.

        Picks that were labeled, skipped or removed meanwhile are declined. Boosts of earlier rounds whose items are still
        unlabeled are taken back.

        Args:
            verify: Read back what the platform stored, and report what is not as it was sent.

        Returns:
            What the platform did with each item; also noted in the journal.

        Raises:
            ValueError: The platform cannot read back. Nothing is changed then.
            NoRoundYet: There was no round.
            PlatformError: Nothing could be done; the round is kept, and another `push()` resumes it.
        """
        if verify:
            self._check_can("verify", "reading back")
        self.refresh()
        return self._push(self.last_round, self._listing, verify=verify)

    def _whole_pool(
        self, listing: Listing, scores: Scores | None, score_name: str | None, otherwise: Pool
    ) -> Callable[[], Pool]:
        """What makes the pool with all that the agent has, for the quality of a batch; `otherwise` if that is too little."""
        embeddings, metadata, gone = self._embeddings, self._metadata, frozenset(self._gone)

        def make() -> Pool:
            try:
                whole = make_pool(
                    listing,
                    scores=scores,
                    score_name=score_name,
                    embeddings=embeddings,
                    metadata=metadata,
                    may_be_gone=gone,
                )
            except ValueError:  # not for every item: the pool that the batch was picked from has to do
                return otherwise
            return whole.pool

        return make

    def check_covered(self, scores: Scores) -> None:
        """Check, before a round, that scores fit the project by id.

        Raises:
            ValueError: An unlabeled item has no score, or a score is of an item that the project does not know.
        """
        make_pool(self._listing, scores=scores, score_name=scores.names[0], embeddings=None)

    def export(self, path: str | os.PathLike[str], *, whole_pool: bool = False) -> int:
        """Write the last round's priorities to a file, for platforms that take an upload.

        Args:
            path: Ends in `.csv` for `name,entropy_value` rows with the highest value first, as SuperAnnotate's upload page
                takes them; in `.json` for ranks, gains and reasons; in `.txt` for the names alone, best first.
            whole_pool: Add every other unlabeled item, with value 0.

        Returns:
            Number of items written.

        Raises:
            NoRoundYet: There was no round.
            ValueError: Another ending, or a name that the format cannot hold.
            OSError: The file cannot be written; what was there before stays.
        """
        current, still_open = self.last_round, self._listing.open_items
        n_declined = sum(item_id not in still_open for item_id in current.selection.item_ids)
        if n_declined:
            warnings.warn(f"{n_declined:,} picks are labeled, skipped or gone meanwhile, and are left out", stacklevel=2)
        listing = self._listing
        return export.write_priorities(path, current, listing.unlabeled, whole_pool=whole_pool, file_name=listing.file_name)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        scorer: Scorer[Any] | Scores | Predictions | None = None,
        *,
        round_number: int | None = None,
        predictions: Predictions | Seen | None = None,
        images: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] | None = None,
        positions: Embeddings | None = None,
        labels: Mapping[str, str | float] | None = None,
        curve: Sequence[tuple[float, float]] | None = None,
        figure_name: str = "accuracy",
        value_per_point: float | None = None,
        cost_per_label: float | None = None,
        map_method: str | None = None,
        n_thumbnails: int = N_THUMBNAILS,
        command: str | None = None,
    ) -> Report:
        """The page of a round: one HTML file with the map of the pool, the picks, and what is known of them.

        It opens from disk, without a network. What is not known, such as scores of an earlier round, is said on the page. It
        holds small pictures of the images: think of who may see them. The platform is listed: time O(n).

        Args:
            path: The file; None writes none, and the result shows the page in a notebook.
            scorer: A scorer, its scores, or predictions. None: what the round was picked by, if this agent has made it.
            round_number: Which round; None for the last.
            predictions: What the model sees, where `scorer` does not hold it.
            images: A folder of the images, or item id to file, where the platform keeps them elsewhere. Nothing is
                downloaded.
            positions: `(n, 2)` places on the map; None makes them of the agent's embeddings.
            labels: Item id to class, where the platform does not hold labels as text or numbers.
            curve: Number of labels and the figure that the model reached with them, by ascending labels: shares up to 1, or
                percentages.
            figure_name: What the figure is.
            value_per_point: Money that a point more of the figure is worth, for the advice on the next batch; goes together
                with `cost_per_label`.
            cost_per_label: Money for a label.
            map_method: `pca`, `tsne` or `umap`; None takes the map kept with the project where it is of these embeddings,
                else t-SNE, of a part where there are above 1,500 items.
            n_thumbnails: Most pictures that the map shows.
            command: What the page tells to type for the same batch; None for the Python of the round's configuration.

        Returns:
            The page: `path`, and `missing` with what it cannot show. In a notebook it shows itself.

        Raises:
            NoRoundYet: There was no round.
            ValueError: There is no such round, an option makes no sense, or scores, predictions, embeddings or labels are of
                no item of the project. Nothing is written then.
            ImportError: The extra `report` is not installed.
            PlatformError: The platform cannot be listed. Nothing is written then.
            OSError: The file cannot be written; what was there before stays.
        """
        number = self.last_round.number if round_number is None else round_number
        known = self._reporter
        if known is None or known.number != number:
            known = Reporter(self._platform, self._journal, number, embeddings=self._embeddings, metadata=self._metadata)
        if scorer is not None:
            scores = None if isinstance(scorer, Predictions) else _scores(scorer)
            known = replace(known, scores=scores, seen=_seen(scorer, known.picks(), self._listing))
        if predictions is not None:
            if not isinstance(predictions, Seen):
                predictions = seen_in(predictions, known.picks(), self._listing.labeled)
            known = replace(known, seen=predictions)
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
        return known.report(path, options, positions=positions, command=command)

    @property
    def _listing(self) -> Listing:
        if self._cached_listing is None:
            self._cached_listing = Listing.of(self._platform)
        return self._cached_listing

    def _show(self) -> Listing:
        """The listing, from now on what the user knows."""
        self._shown = self._listing
        return self._listing

    def _check_there(self, config: SamplerConfig, sampler: Sampler, scores: Scores | None) -> None:
        """Raise unless there is what the method needs."""
        if sampler.needs_scores and scores is None:
            raise ValueError(
                f"{config.method} ranks by a score; pass a scorer, for example ScorerClassification(predictions)"
            )
        if sampler.takes_scores and scores is None and config.score is not None:
            raise ValueError(f"score is {config.score!r}, and there are no scores; pass a scorer, or leave score out")
        if sampler.needs_vectors and self._embeddings is None:
            raise ValueError(f"{config.method} compares images; pass embeddings=Embeddings(...) to the agent")
        if isinstance(sampler, SamplerJoint) and sampler.columns and self._metadata is None:
            raise ValueError(
                f"the strategies read the column {sampler.columns[0]!r}; pass metadata=Metadata(item_ids, columns) to the "
                "agent"
            )

    def _check_can(self, option: str, in_words: str) -> None:
        parameters = inspect.signature(self._platform.push).parameters
        if option not in parameters and all(one.kind is not one.VAR_KEYWORD for one in parameters.values()):
            raise ValueError(f"{type(self._platform).__name__} has no {in_words}: its push takes no {option}=")

    def _push(self, current: Round, listing: Listing, *, verify: bool = False) -> PushReport:
        if not self._journal.begin_push(current.number):
            warnings.warn(f"{current.name} was not pushed: another process has made a newer round", stacklevel=3)
            return PushReport(not_sent=current.selection.item_ids)
        plan = priorities.plan(current.selection.item_ids, self._journal.boosted_before(current.number), listing)
        options: dict[str, Any] = {"verify": True} if verify else {}
        guesses = self._fitting_guesses(current, plan.ranks)
        if guesses:
            options["preannotations"] = guesses
        try:
            report = self._platform.push(plan.ranks, plan.resets, **options)
        except PlatformError as error:
            error.add_hint(f"{current.name} is kept with its {len(current.selection):,} picks: push again to resume it")
            raise
        report = replace(report, declined={**plan.declined, **report.declined})
        push = self._journal.add_push(current.number, report)
        self._cached_round = replace(current, pushes=(*current.pushes, push))
        if not report.is_complete:
            warnings.warn(f"{current.name} is not on the platform yet: {report}; push again to finish it", stacklevel=3)
        for problem in self._problems():
            warnings.warn(problem, stacklevel=3)
        return report

    def _fitting_guesses(self, current: Round, ranks: Mapping[str, int]) -> dict[str, tuple[Guess, ...]]:
        """The round's guesses; none where they do not fit any more, for the order is worth more than they are."""
        guesses = {item_id: those for item_id, those in self._journal.guesses(current.number).items() if item_id in ranks}
        if guesses and isinstance(self._platform, ChecksGuesses):
            try:
                self._platform.check_guesses(guesses)
            except ValueError as error:
                warnings.warn(f"{current.name} is pushed without pre-annotations: {error}", stacklevel=4)
                return {}
        return guesses

    def _problems(self) -> tuple[str, ...]:
        """What keeps the platform from serving in our order, as far as it knows and can be asked now."""
        if isinstance(self._platform, ChecksSettings):
            with contextlib.suppress(PlatformError):
                return self._platform.problems()
        return ()

    def __repr__(self) -> str:
        return f"ActiveLearningAgent({self._platform!r})"


def _scores(scorer: object) -> Scores | None:
    if scorer is None or isinstance(scorer, Scores):
        return scorer
    if isinstance(scorer, Scorer):
        return scorer.scores()
    kind = type(scorer).__name__
    if kind in _SCORER_OF:
        raise ValueError(f"scorer is {kind}; pass {_SCORER_OF[kind]}(predictions), which makes scores")
    raise ValueError(f"scorer is {type(scorer).__name__}; expected a scorer such as ScorerClassification, or Scores")


def _seen(scorer: object, picks: Sequence[str], listing: Listing) -> Seen | None:
    """What a page shows of predictions; None where there are none, or where they were given in chunks."""
    given = scorer
    if isinstance(scorer, Scorer):
        try:
            given = scorer.predictions
        except ValueError:
            return None
    if not isinstance(given, Predictions):
        return None
    threshold = scorer.score_threshold if isinstance(scorer, ScorerObjectDetection) else 0.0
    return seen_in(given, picks, listing.labeled, score_threshold=threshold)


def _predictions(scorer: object, method: str) -> ClassificationPredictions | EnsemblePredictions:
    given = scorer.predictions if isinstance(scorer, Scorer) else scorer
    if isinstance(given, ClassificationPredictions | EnsemblePredictions):
        return given
    raise ValueError(
        f"{method} reads class probabilities; pass EnsemblePredictions of a committee, or ClassificationPredictions or "
        f"their scorer, instead of {type(given).__name__}; a stream of chunks becomes one by "
        "EnsemblePredictions.concatenate(chunks)"
    )


def _notes(joined: Joined, selection: Selection) -> tuple[str, ...]:
    notes = []
    if joined.waiting:
        notes.append(
            f"{len(joined.waiting):,} items appeared since the sets were last read and have no score or embedding, "
            f"the first is {joined.waiting[0]!r}; they wait for the next round"
        )
    if joined.gone:
        notes.append(
            f"{len(joined.gone):,} items with a score or embedding vanished since, the first is {joined.gone[0]!r}; "
            "they were left out"
        )
    if selection.note:
        notes.append(selection.note)
    return tuple(notes)
