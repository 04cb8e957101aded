"""Open the studio: filter, train, look, break, reuse, encode in the browser, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def studio(
    model: Annotated[str | None, typer.Argument(help="A model file of Hubel's, or 'efficientnet_lite0'.",
                                                show_default="efficientnet_lite0, built in")] = None,
    data: Annotated[list[str] | None, typer.Argument(help="Folders or files of data, as for 'hubel train', or folders that hold such.",
                                                     show_default="digits and sample photographs, built in")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The port.", show_default="7860, or the next that is free")] = None,
    auth: Annotated[str | None, typer.Option(help="USER:PASSWORD, needed for any host but this machine's own.",
                                             show_default="none")] = None,
    work: Annotated[Path, typer.Option(help="The folder that models trained here are written to.",
                                       file_okay=False)] = Path("hubel-studio"),
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Open the studio: filter, train, look, break, reuse, encode in the browser, on this machine.

    Only this machine can connect unless a host and a password are given. Of the disk only DATA, MODEL and the work folder are
    read; pictures come by being dropped.

    Examples:

    - hubel studio

    - hubel studio flowers.hubel photos/

    - hubel studio --host 0.0.0.0 --auth me:a-long-password
    """
    from hubel import studio as room

    room.launch(model, data or (), host=host, port=port, auth=auth, work=work, inbrowser=browser)
