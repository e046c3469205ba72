"""What the papers analyse, one file each; listing the folder finds them.

Such a file has its formula and paper in its docstring, ``ABOUT``, a sentence,
``sentences(found) -> list[str]`` for a terminal, and one of

- ``analyse(lines) -> dict``: of one file of predictions; `metrics FILE`,
- ``compare(lines, other) -> dict``: of two files of the same turns; `metrics FILE OTHER`,
- ``grid(files, …) -> dict``: of files by what was trained and tested on; `metrics --recognised`.

What is found is plain data that JSON can hold, and empty where these predictions can't be analysed
so (no label, no speakers, no count of words).
"""
