"""The project's own results: recorded runs, the table that they make, and what they say of claims.

    python -m trainer results                      the table, from assets/results/*.json alone
    python -m trainer results claims               what the papers claim, and what is found here
    python -m trainer results record RUN --as NAME
    python -m trainer results run NAME… --data-root FOLDER --out RUNS

``cells`` says which runs fill the tables, ``fill`` makes them, ``intake`` reads a run and
``record`` is what is kept of it; ``counts`` says how that is enough for paired tests and tells
nobody's label. ``table`` and ``claims`` read records alone.
"""
