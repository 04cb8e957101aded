"""The command line: finds the command, prints errors as one line, and keeps the exit codes. Depends on Typer, when it runs.

0 done, 2 an error the user can mend (one line on stderr), 130 interrupted. `hubel --help` imports nothing heavy: the list
of commands is made of the first lines of their files.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hubel import __version__, commands
from hubel.errors import HubelError, InputError

FIRST = ("study", "train", "evaluate", "predict", "info")

USAGE = """Usage: hubel COMMAND [OPTIONS]   (hubel COMMAND --help says more, with examples)

Build convolutional networks, look inside them, break them, harden them and reuse what they have learned.

  hubel study                  train on handwritten digits and write a report: a demonstration, in seconds
  hubel study photos/          the same for a folder with a subfolder of images for each class

Commands:
{commands}

  --version                    print the version
  -h, --help                   print this
"""


def names() -> list[str]:
    """The commands there are: the main ones, then the others by the alphabet."""
    found = {module.name for module in pkgutil.iter_modules(commands.__path__) if not module.name.startswith("_")}
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def usage() -> str:
    """What `hubel --help` prints."""
    return USAGE.format(commands="\n".join(f"  {name:<10} {_about(name)}" for name in names()))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit code. Prints `hubel: ...` for what the user can mend."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(usage(), end="")
            return 0
        if words[0] == "--version":
            print(__version__)
            return 0
        return _run_command(words[0], words[1:])
    except HubelError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone: `hubel predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(f"{error.filename}: {error.strerror or error}")


def _run_command(name: str, words: list[str]) -> int:
    if name.replace("-", "_") not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(names())}"
        raise InputError(f"no command {name!r}: {hint}")
    import typer

    found = getattr(importlib.import_module(f"hubel.commands.{name.replace('-', '_')}"), name.replace("-", "_"))
    raised: list[BaseException] = []

    def guarded(function: Any) -> Any:
        @functools.wraps(function)
        def command(*arguments: Any, **options: Any) -> Any:
            try:
                return function(*arguments, **options)
            except (KeyboardInterrupt, OSError) as error:  # of which Typer makes exits of its own
                raised.append(error)
                return 1

        return command

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown",
                      context_settings={"help_option_names": ["-h", "--help"]})
    if isinstance(found, typer.Typer):  # a command of several: `hubel autoencode train`
        app.callback(help=found.info.help)(lambda: None)
        for inner in found.registered_commands:
            app.command(inner.name)(guarded(inner.callback))
        words = words or ["--help"]
    else:
        app.command()(guarded(found))
    try:
        code = typer.main.get_command(app).main(words, prog_name=f"hubel {name}", standalone_mode=False)
    except typer.Exit as error:
        return int(error.exit_code)
    except Exception as error:
        # Typer's errors of usage; their class is Click's in some of its versions and its own in others.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        raise InputError(f"{' '.join(message().split()).rstrip('.')} (see 'hubel {name} --help')") from error
    if raised:
        raise raised[0]
    return code if isinstance(code, int) else 0


def _about(name: str) -> str:
    source = Path(commands.__path__[0], f"{name}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or name).split("\n")[0].rstrip(".")


def _complain(text: str, code: int = 2) -> int:
    print(f"hubel: {text}", file=sys.stderr)
    return code


def main() -> Any:
    """The console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
