"""Record what readers of a version send and see: `.venv/bin/python <this file>`.

Run it in a checkout of the previous minor version, with that checkout's interpreter. It writes to
the folder `readers` beside this file, for each kind of database: a small database as that version
leaves it, and the statements of that version's role `reader` with the rows that they returned.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "readers"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mfp-readers-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        os.chdir(folder)
        sys.path.insert(0, str(HERE))
        from upgradekit import inside, places

        from mfprefect_dev import teradata

        inside.disguise(Path(folder))
        teradata.install()
        FOLDER.mkdir(exist_ok=True)
        for name in sys.argv[1:] or places.DATABASES:
            work = Path(folder) / name
            work.mkdir()
            with places.place(name, work) as place:
                _record(name, place.url)


def _record(name: str, url: str) -> None:
    from upgradekit import files, inside

    import mfprefect

    with mfprefect.connect(url, heartbeat_seconds=600) as store:
        store.create_schema()
        sessions = _history(store)
    with mfprefect.connect(url) as store:
        store.database.views_only = True
        requests = _heard(store, sessions)
    files.dump(url, FOLDER)
    content = {"revision": inside.revision(), "requests": requests}
    files.keep(FOLDER / f"{name}.requests.gz", content)
    print(f"{name}: {len(requests)} statements")


def _history(store: Any) -> dict[str, str]:
    """Run a training, put it into production, and score twice with it."""
    import pandas as pd

    from mfprefect import Gate

    store.add_model("churn", "who leaves")
    with store.session("churn", "train") as training:
        training.log_metrics({"auc": 0.75})
        training.save_model(b"a model")
        training.log_gates([Gate("auc", at_least=0.5)])
    store.promote("churn", training.session_id)
    for day in ("2026-10-31", "2026-11-30"):
        with store.session("churn", "score", parent=training.session_id, as_of=day) as scoring:
            frame = pd.DataFrame({"id": ["a", "b", f"only {day}"], "score": [0.25, 0.5, 0.75]})
            scoring.write_scores(frame, "id")
    return {"trained": training.session_id, "scored": scoring.session_id}


def _heard(store: Any, sessions: dict[str, str]) -> list[dict[str, Any]]:
    """Return the statements of all that a reader can ask, with their rows."""
    import sqlalchemy as sa
    from upgradekit import answers

    from mfprefect.schema import VIEWS

    requests: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if any(view in statement for view in VIEWS):
            requests.append((statement, parameters))

    sa.event.listen(store.database.engine, "before_cursor_execute", hear)
    trained, scored = sessions["trained"], sessions["scored"]
    for call in (
        store.models,
        lambda: store.sessions("churn", status="succeeded", limit=10),
        lambda: store.get_sessions(trained, scored),
        lambda: (store.metrics(trained), store.gates(trained), store.production("churn")),
        lambda: (store.scores(scored), store.scores(scored, entity_ids=["a"], at_least=0.1)),
        lambda: (store.latest_scores("churn", "a", "b"), store.current_session("churn")),
        lambda: (store.current_scores("churn"), list(store.iter_scores(scored))),
        lambda: (store.score_summary(scored), store.score_histogram(scored, bins=4)),
        lambda: (store.score_quantiles(scored, [0.5]), store.score_psi(scored, scored)),
    ):
        call()
    for name, select in store.database.schema.views().items():  # as people write it
        view = sa.table(
            store.database.schema.name(name), schema=store.database.schema.layout.schema
        )
        columns: list[Any] = [sa.column(column.name) for column in select.selected_columns]
        store.database.fetch_all(sa.select(*columns).select_from(view))
    sa.event.remove(store.database.engine, "before_cursor_execute", hear)
    distinct = {repr(request): request for request in requests}.values()
    with store.database.engine.connect() as connection:
        return [
            {
                "statement": statement,
                "parameters": parameters if isinstance(parameters, dict) else list(parameters),
                "rows": answers.plain(rows(connection, statement, parameters)),
            }
            for statement, parameters in distinct
        ]


def rows(connection: Any, statement: str, parameters: Any) -> list[list[Any]]:
    """Return the rows of a recorded statement, in an order of ours."""
    result = connection.exec_driver_sql(statement, parameters)
    return sorted(([*row] for row in result), key=repr)


if __name__ == "__main__":
    main()
