"""The commands of `hubel`, one file each; the command line finds them by their file names.

`commands/NAME.py` holds a function NAME whose parameters are Typer's (`Annotated[...]`); the first line of the module's
docstring is its line in `hubel --help`, the function's docstring its own help, with examples. What is slow to import
(torch, hubel's rooms) is imported inside the function. A function returns None, or an exit code other than 0.
Errors that the user can mend are HubelError; nothing here catches them: the command line prints them and exits 2.
"""
