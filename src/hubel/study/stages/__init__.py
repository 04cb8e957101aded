"""The stages of a study, one file each: `stage(context) -> facts`. A stage calls the verbs of other rooms and keeps what
the report shows: numbers as JSON, pictures as files of the study's folder. It writes no prose that depends on no fact.
"""
