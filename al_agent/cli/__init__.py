"""The command `al-agent`: one module for each verb, which prints what the library returns."""

from __future__ import annotations

import io
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

import al_agent

from ..errors import AgentError
from . import annotate, cost, demo, duplicates, embed, export, init, push, query, report, score, simulate, status
from .output import print_failure, print_warning, print_wrong_use

EXIT_DONE, EXIT_FAILED, EXIT_WRONG_USE, EXIT_INTERRUPTED = 0, 1, 2, 130

_UsageError = typer.BadParameter.__mro__[1]  # typer has a click of its own inside, and exports only this kind of it

app = typer.Typer(
    name="al-agent",
    epilog="Start with: al-agent demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(al_agent.__version__)
        raise typer.Exit


@app.callback()
def _before_any_verb(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Active learning for teams that label images: pick what to label next, and put it first in the queue."""


for verb in (
    demo.demo,
    init.init,
    status.status,
    annotate.annotate,
    embed.embed,
    duplicates.duplicates,
    score.score,
    query.query,
    push.push,
    export.export,
    report.report,
    cost.cost,
    simulate.simulate,
):
    app.command()(verb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The words after `al-agent`; None takes those of the process.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not undo a round
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = print_warning
        try:
            status = app(words, prog_name="al-agent", standalone_mode=False)
        except _UsageError as error:  # type: ignore[misc]  # an entry of __mro__ is any type
            print_wrong_use(error, words)
            return EXIT_WRONG_USE
        except (AgentError, ValueError, OSError, ImportError) as error:
            print_failure(error, as_json=as_json)
            return EXIT_FAILED
        except (KeyboardInterrupt, typer.Abort):
            status = EXIT_INTERRUPTED
        except Exception as error:  # a defect of ours: its traceback helps whoever mends it
            traceback.print_exc()
            print_failure(error, as_json=as_json)
            return EXIT_FAILED
    if status == EXIT_INTERRUPTED:  # typer turns an interrupt into a status
        has_rounds = words[:1] in (["query"], ["push"])
        print_failure(
            KeyboardInterrupt("interrupted; see al-agent status" if has_rounds else "interrupted"),
            as_json=as_json,
        )
    return status if isinstance(status, int) else EXIT_DONE
