"""A Kili project: its assets as items, and ranks as asset priorities."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from ...errors import Rejected
from ..base import Guess, Item, PushReport
from ..batches import Sent, account, cut, send_batches, without_the_gone
from ..connection import Connection
from ..failures import origin_of
from ..http import Http
from ..known import Known, RemoteProject, checked_ranks, push_numbers
from ..paging import read_pages
from ..parallel import in_parallel
from ..progress import bar
from ..secrecy import Secrets, checked_key
from . import mapping, wire

_MODEL_NAME = "al-agent"


class PlatformKili(RemoteProject):
    """A project on Kili, cloud or on premise.

    An item is an asset; its id is the external id. The first step of the workflow decides: what waits there is unlabeled,
    what has gone on with a label is labeled. Quality checks (honeypots) are locked. Nothing is sent when it is made.

    A rank is pushed as the priority `1,000,000 - rank`, above what people usually set by hand; the highest comes first. By
    `priorities="exact"` every asset gets its own (100 assets a request); by `"tiers"` the first, the next 2, the next 4 and
    so on share one, for servers that refuse the other way. `"auto"` is exact, and falls back.

    Kili's limit of 500 requests a minute is kept, counted over all connectors of the process: 100,000 assets take two
    minutes to list. What the server does with priorities this high is not verified.

    Args:
        project_id: As in the project's address.
        api_key: The key; None takes the environment variable `KILI_API_KEY`.
        base_url: Address of the server, with or without the path of its GraphQL endpoint; None takes the environment
            variable `KILI_API_ENDPOINT`, or Kili's cloud.
        client: An official `Kili` client, to take key and endpoint from, instead of the two above.
        priorities: How ranks become priorities.
        ids: `"name"` for external ids, `"remote"` for Kili's own, which are unique in every project.
        calls_per_minute: Rate limit to keep; None for a server of your own that has none.
        connection: Timeouts, retries, certificates.

    Raises:
        ValueError: An argument makes no sense.
        AuthenticationFailed: There is no key.

    Examples:
        >>> PlatformKili("clproject000", api_key="an-invented-key")
        PlatformKili('clproject000')
    """

    def __init__(
        self,
        project_id: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: Any = None,
        priorities: Literal["auto", "exact", "tiers"] = "auto",
        ids: Literal["name", "remote"] = "name",
        calls_per_minute: int | None = wire.CALLS_PER_MINUTE,
        connection: Connection | None = None,
    ) -> None:
        if calls_per_minute is not None and not calls_per_minute >= 1:
            raise ValueError(f"calls_per_minute is {calls_per_minute!r}; expected 1 or more, or None")
        given: object = project_id
        if not isinstance(given, str) or not given.strip():
            raise ValueError(f"project_id is {given!r}; expected the id in the project's address")
        if priorities not in ("auto", "exact", "tiers"):
            raise ValueError(f"priorities is {priorities!r}; expected 'auto', 'exact' or 'tiers'")
        if ids not in ("name", "remote"):
            raise ValueError(f"ids is {ids!r}; expected 'name' or 'remote'")
        self._connection = Connection() if connection is None else connection
        if client is not None:
            if api_key is not None or base_url is not None:
                raise ValueError("client has a key and an address already; give no api_key and base_url beside it")
            api_key, base_url, self._connection = _from_client(client, connection)
        key = checked_key(api_key, "KILI_API_KEY", os.environ.get("KILI_API_KEY"), "Kili shows it under My account, API key")
        endpoint = (base_url or os.environ.get("KILI_API_ENDPOINT") or wire.ENDPOINT).rstrip("/")
        if not endpoint.endswith("/graphql"):
            endpoint += wire.ENDPOINT_PATH
        self._http = Http(
            endpoint,
            vendor="Kili",
            headers=lambda: {"Authorization": f"X-API-Key: {key}"},
            secrets=Secrets(key),
            connection=self._connection,
            calls_per_minute=calls_per_minute,
            key_hint="check KILI_API_KEY, and whether the key has expired",
        )
        self._project_id = project_id.strip()
        self._wire = wire.Wire(self._http, self._project_id)
        self._by_remote_id = ids == "remote"
        self._has_tiers = priorities == "tiers"
        self._sends_each = not self._has_tiers  # by the mutation that takes a number for each asset
        self._may_fall_back = priorities == "auto"
        self._first_step: str | None = None

    @property
    def key(self) -> str:
        """Server and project."""
        return f"kili:{origin_of(self._http.base_url).partition('://')[2]}/{self._project_id}"

    def list_items(self) -> Iterator[Item]:
        """Every asset once, in order of creation. One request for every 99 assets, several at once.

        Raises:
            PlatformError: The list is not complete.
        """
        self._known = None
        known = Known('use Kili\'s own ids: PlatformKili(..., ids="remote")')
        self._read_workflow()
        with bar(self._connection, "listing", total=None) as move:
            rows = read_pages(
                self._page,
                self._wire.count,
                lambda asset: str(asset["id"]),
                page_size=wire.PAGE_SIZE,
                n_parallel=self._connection.n_parallel,
                on_rows=move,
            )
            for asset in rows:
                item = self._item(asset)
                known.add(item, mapping.to_stored(asset))
                yield item
        self._known = known

    def push(
        self,
        ranks: Mapping[str, int],
        resets: Collection[str] = (),
        *,
        verify: bool = False,
        preannotations: Mapping[str, Sequence[Guess]] | None = None,
    ) -> PushReport:
        """Set priorities, the lowest rank highest, and take others back to 0; only differences are sent.

        Uses what `list_items` found since the last push, or lists first.

        Args:
            ranks: Item id to rank from 0 to 999,999.
            resets: Items whose priority goes back to 0, unless they have none.
            verify: Read the priorities back, and report as failed what is not as it was sent.
            preannotations: Item id to guesses, stored as predictions of the model `al-agent` in place of its earlier ones;
                sent with every push, since what is stored of them cannot be told from a listing.

        Raises:
            ValueError: A rank or a guess cannot be sent. Nothing is changed then.
            PlatformError: Nothing could be done.
        """
        checked_ranks(ranks)
        known = self._take_known()
        responses = self._responses(known, preannotations or {}, ranks)
        with bar(self._connection, "pushing", total=len(responses) + len(ranks) + len(resets)) as move:
            before = self._send_predictions(known, responses, move)
            while True:
                try:
                    return push_numbers(
                        known,
                        ranks,
                        resets,
                        mapping.to_tier_number if self._has_tiers else mapping.to_number,
                        partial(self._send, known, on_rows=move),
                        before=before,
                        read_back=partial(self._read_back, known) if verify else None,
                    )
                except _EachIsRefused:
                    self._has_tiers, self._sends_each = True, False

    def check_guesses(self, guesses: Mapping[str, Sequence[Guess]]) -> None:
        """Check, before a round is noted, that annotators can be shown these guesses.

        Raises:
            ValueError: No job of the project takes one of them.
        """
        if guesses:
            jobs = mapping.Jobs(self._wire.interface())
            for item_id, those in guesses.items():
                jobs.to_response(item_id, those)

    def link(self, item: Item) -> str:
        """Address of the item's asset in Kili's labeling interface; that it opens there is not verified."""
        return wire.asset_page(self._http.origin, item.remote_id)

    def problems(self) -> tuple[str, ...]:
        """None: Kili documents that it serves by priority, whoever an asset is assigned to; this is not verified."""
        return ()

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def _page(self, n_rows: int, start: int) -> list[dict[str, Any]]:
        return self._wire.page(n_rows, start, has_steps=self._first_step is not None)

    def _read_workflow(self) -> None:
        project = self._wire.project()
        steps = project.get("steps") or []
        self._first_step = None if project.get("workflowVersion") in (None, "V1") or not steps else str(steps[0]["name"])

    def _item(self, asset: dict[str, Any]) -> Item:
        return mapping.to_item(asset, self._first_step, by_remote_id=self._by_remote_id)

    def _responses(
        self, known: Known, guesses: Mapping[str, Sequence[Guess]], ranks: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """Kili's form of the guesses for the items that are ranked."""
        if not guesses:
            return {}
        jobs = mapping.Jobs(self._wire.interface())
        rankable, _ = known.sort_out(ranks)
        return {item_id: jobs.to_response(item_id, guesses[item_id]) for item_id in rankable if item_id in guesses}

    def _send_predictions(self, known: Known, responses: dict[str, Any], on_rows: Callable[[int], object]) -> Sent:
        def send(batch: Sequence[str]) -> Sent:
            self._wire.append_predictions({known.remote_id[i]: responses[i] for i in batch}, _MODEL_NAME)
            return Sent(done=list(batch))

        batches = cut(list(responses), wire.IDS_PER_CALL)
        attempt = partial(without_the_gone, send, partial(self._read_back, known))
        sent = send_batches(batches, attempt, str, n_parallel=self._connection.n_parallel, on_rows=on_rows)
        sent.failed = {item_id: f"its guesses were not stored: {why}" for item_id, why in sent.failed.items()}
        return sent

    def _send(self, known: Known, numbers: dict[str, int], *, on_rows: Callable[[int], object]) -> Sent:
        if self._sends_each:
            batches = cut(list(numbers), wire.IDS_PER_CALL)
            send = partial(self._set_each, known, numbers)
        else:
            with_number: dict[int, list[str]] = {}
            for item_id, number in numbers.items():
                with_number.setdefault(number, []).append(item_id)
            batches = [batch for ids in with_number.values() for batch in cut(ids, wire.IDS_PER_CALL)]
            send = partial(self._set_many, known, numbers)
        attempt = partial(without_the_gone, send, partial(self._read_back, known))
        return send_batches(batches, attempt, str, n_parallel=self._connection.n_parallel, on_rows=on_rows)

    def _set_each(self, known: Known, numbers: dict[str, int], batch: Sequence[str]) -> Sent:
        try:
            confirmed = self._wire.set_each({known.remote_id[item_id]: numbers[item_id] for item_id in batch})
        except Rejected as error:
            if self._sends_each and self._may_fall_back and any(word in str(error) for word in _REFUSALS):
                raise _EachIsRefused from None
            raise
        return account(batch, [i for i in batch if known.remote_id[i] in confirmed])

    def _set_many(self, known: Known, numbers: dict[str, int], batch: Sequence[str]) -> Sent:
        try:
            answer = self._wire.set_many([known.remote_id[item_id] for item_id in batch], numbers[batch[0]])
        except Rejected as error:
            if "Cannot query field" not in str(error):
                raise
            return self._set_each(known, numbers, batch)  # an older server, which has only the other way
        succeeded = {str(row["assetId"]) for row in answer.get("succeeded") or ()}
        sent = account(batch, [i for i in batch if known.remote_id[i] in succeeded])
        declined = {str(row["assetId"]) for row in answer.get("declined") or ()}
        reasons = {str(row["assetId"]): str(row.get("details") or "no reason given") for row in answer.get("failed") or ()}
        for item_id in list(sent.failed):
            remote_id = known.remote_id[item_id]
            if remote_id in declined:
                del sent.failed[item_id]
                sent.declined[item_id] = "Kili declined it: its step is not waiting for work"
            elif remote_id in reasons:
                sent.failed[item_id] = self._http.secrets.mask(f"Kili failed on it: {reasons[remote_id]}")
        return sent

    def _read_back(self, known: Known, item_ids: Sequence[str]) -> dict[str, int]:
        """The priorities that the server has now, without those of assets that are gone."""
        item_of = {known.remote_id[item_id]: item_id for item_id in item_ids}
        read = partial(self._wire.by_id, has_steps=self._first_step is not None)
        pages = in_parallel(read, cut(list(item_of), wire.IDS_PER_CALL), self._connection.n_parallel)
        return {item_of[str(asset["id"])]: mapping.to_stored(asset) for page in pages for asset in page}

    def __repr__(self) -> str:
        return f"PlatformKili({self._project_id!r})"


_REFUSALS = ("[deprecated]", "Cannot query field", "Unknown type", "Unknown argument")


class _EachIsRefused(Exception):
    """The server does not take a priority for each asset any more."""


def _from_client(client: Any, connection: Connection | None) -> tuple[str, str, Connection]:
    """Key, endpoint and connection of an official client, known by its attributes."""
    key, endpoint = getattr(client, "api_key", None), getattr(client, "api_endpoint", None)
    if not isinstance(key, str) or not isinstance(endpoint, str):
        raise ValueError(
            f"client is {type(client).__name__}; expected an official Kili client, with api_key and api_endpoint"
        )
    verify = getattr(client, "verify", True)
    if connection is None and verify is False:
        raise ValueError(
            "the client checks no certificates; pass connection=Connection(ca_file=...) for a private authority"
        )
    if connection is None:
        connection = Connection(ca_file=verify if isinstance(verify, str) else None)
    return key, endpoint, connection
