"""Serve a model over HTTP: predict, embed, explain and attack, for other programs."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    model: Annotated[str, typer.Argument(help="A model file of Hubel's, or 'efficientnet_lite0'.")],
    host: Annotated[str, typer.Option(help="Where to listen. Anything but this machine's own address needs --token or "
                                           "--auth.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    token: Annotated[str | None, typer.Option(envvar="HUBEL_TOKEN", help="Answer only requests with 'Authorization: Bearer "
                                                                         "TOKEN'.", show_default="anybody")] = None,
    auth: Annotated[str | None, typer.Option(envvar="HUBEL_AUTH", help="USER:PASSWORD, which browsers ask for.",
                                             show_default="anybody")] = None,
    precision: Annotated[str, typer.Option(help="fp32: hubel predict's answers. auto: bf16 where it holds, faster; of classes "
                                               "nearly as likely another may come first.")] = "fp32",
    queue: Annotated[int | None, typer.Option(help="Inputs that may wait; those above it are refused with 429.", min=1,
                                              show_default="eight batches: 256 photos, 2,048 small images")] = None,
    megabytes: Annotated[float, typer.Option(help="The largest request.")] = 16.0,
    megapixels: Annotated[float, typer.Option(help="The largest image.")] = 40.0,
) -> None:
    """Serve a model over HTTP: predict, embed, explain and attack, for other programs.

    The page at the address it prints says what can be asked, and tries it. Requests are gathered into batches. Ctrl-C or
    SIGTERM stops it, after the requests in hand have been answered.

    Examples:

    - hubel serve efficientnet_lite0

    - curl -F file=@cat.jpg -F file=@dog.jpg http://127.0.0.1:8000/predict

    - curl -F file=@cat.jpg 'http://127.0.0.1:8000/explain?answer=figure' -o why.png

    - HUBEL_TOKEN=$(openssl rand -hex 16) hubel serve flowers.hubel --host 0.0.0.0
    """
    import os
    import sys

    from hubel import serve as room
    from hubel.errors import InputError
    from hubel.study.opening import open_model

    if precision not in ("auto", "fp32"):
        raise InputError(f"--precision {precision!r}: auto or fp32")
    limits = room.Limits(megabytes=megabytes, megapixels=megapixels, queue=queue)
    done = room.serve(open_model(model), host, port, token=token, auth=auth, precision=precision, limits=limits,
                      ready=lambda address: print(f"serving {model} at {address}   (Ctrl-C stops)", flush=True))
    print("stopped")
    if not done:  # Python would wait for the thread that attacks, whose client has been turned away
        sys.stdout.flush()
        os._exit(0)
