"""Store methods that read what trainings and trials tried, and how they went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mfprefect.store.api.base import Base
from mfprefect.store.results import experiments, frames

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExperimentsApi"]


class ExperimentsApi(Base):
    """Reads parameters beside metrics, and curves of metrics; nothing here writes."""

    def experiments(
        self,
        model_id: str,
        *,
        sort: str | None = None,
        limit: int | None = 100,
        where: Iterable[str] = (),
        purpose: str | None = None,
        parent: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
    ) -> pd.DataFrame:
        """Return trainings and trials, one wide row each: parameters beside metrics.

        Columns: session_id, purpose, status, started_at, ended_at, run_by, git_commit, as_of,
        parent_session_id; `params.<name>` with the type of the parameter's values (int64, float64,
        bool, Int64 and boolean where some are missing, else object); `metrics.<name>`, float64, of
        all rows. A name is of the sessions returned; where one lacks it, the cell is missing.

        Args:
            model_id: the model.
            sort: a metric or parameter, such as `auc`; `-auc` for the highest first. Sessions
                without it come last. By default the newest session comes first.
            limit: at most this many; None for all.
            where: conditions that all must hold, such as `depth=6`, `kind=linear` or `auc>0.8`;
                operators are = != < <= > >=. Where a name is a parameter and a metric, say
                `params.loss` or `metrics.loss`. Parameters are found by names and texts of up to
                255 characters.
            purpose: only sessions of this purpose; by default `train` and `trial`.
            parent: only the trials of this session.
            since: only those that started then or later, as for `sessions`.

        Raises:
            UnknownModel: the model does not exist.
            UnknownSession: `parent` does not exist.
            InvalidValue: no session of the model has such a parameter or metric, or an argument is
                not as above.
        """
        options: dict[str, Any] = {"sort": sort, "limit": limit, "where": list(where)}
        options |= {"purpose": purpose, "parent": parent, "since": since}
        if isinstance(where, str):
            options["where"] = where  # refused, with the list to pass
        return self._db.snapshot(
            lambda moment: experiments.experiments_frame(moment, model_id, **options)
        )

    def metric_steps(self, *session_ids: str) -> pd.DataFrame:
        """Return metrics over steps, such as epochs, by session, metric, segment and step.

        Columns: session_id, metric_name, segment ('' is all rows), step, value, logged_at.

        Raises:
            InvalidValue: no session id.
            UnknownSession: one of the sessions does not exist.
        """
        return frames.of_sessions(self._db, "metric_steps", session_ids)
