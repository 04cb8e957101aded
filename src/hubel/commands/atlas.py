"""Draw a map of a folder of images: like by like, clusters, outliers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def atlas(
    sources: Annotated[list[Path], typer.Argument(help="Folders of images, or image files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("atlas"),
    clusters: Annotated[int | None, typer.Option(help="How many clusters.", show_default="by the silhouette", min=2)] = None,
    model: Annotated[str, typer.Option(help="A model file of Hubel's, or a pretrained network.")] = "efficientnet_lite0",
    seed: Annotated[int, typer.Option(help="For the clusters and the layout.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw a map of a folder of images: like by like, clusters, outliers.

    Nobody's labels are used. Writes map.html (one file: zoom, hover, search), map.png, clusters.png and atlas.json.

    Examples:

    - hubel atlas photos/ -o atlas/

    - hubel atlas photos/ --clusters 12 --model mine.hubel
    """
    import json as json_
    import sys

    from hubel import reuse
    from hubel.look.draw import png
    from hubel.study.opening import open_model

    table, skipped = reuse.embed_paths(sources, open_model(model))
    found = reuse.chart(table.features, table.files, clusters, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "map.png").write_bytes(png(found.plot()))
    (out / "clusters.png").write_bytes(png(found.plot_clusters()))
    (out / "atlas.json").write_text(json_.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    page = found.write_html(out / "map.html")
    for bad in skipped:
        print(f"hubel: {bad.path} {bad.reason}", file=sys.stderr)
    if json:
        print(json_.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    else:
        print(f"{page}: {len(table):,} images in {len(found.typical)} clusters")
