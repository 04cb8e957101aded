"""The main job: train (or load) a model on some data, look at it from all sides, and write one honest report.

    study = hubel.study.run("photos/")        # the same call goes on after an interruption
    study.report                              # hubel-study-photos/report.html
    study = hubel.study.load("hubel-study-photos")
"""

from hubel.study.run import run
from hubel.study.study import Study, load

__all__ = ["Study", "load", "run"]
