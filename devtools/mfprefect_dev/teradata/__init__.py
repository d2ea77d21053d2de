"""An *emulated* Teradata, for tests: no evidence of compatibility.

No Teradata server can be had where mfprefect is built. This is a harness for the contract and
against regressions: a driver of the same interface as `teradatasql`, in front of SQLite files. It
knows the rules of Teradata that its authors read or remembered, and nothing else. Whoever sees a
test pass here knows that mfprefect keeps to those rules, and not that a real server would agree.

What it does:

- it reads every request with a grammar of its own, and refuses what it does not know (3706);
- it checks every request with a `lint` of what Teradata refuses or silently misreads;
- sessions are ANSI: an error undoes its request, DDL ends its transaction (3722), a plain SELECT
  holds its locks to the end of the transaction, names reserved by Teradata are no names;
- lengths, ranges, NOT NULL, unique indexes (NULLs are equal), CHECK and checked references hold;
  text compares without its trailing blanks; CLOB and BLOB do not compare; counts are DECIMAL;
- a transaction holds a limited number of row locks (9128), a batch a limited number of rows;
- FastLoad has its conditions, drops rows that do not fit without a word, and leaves a table that
  cannot be read where its link was lost;
- any error can be injected (`EmulatedTeradata.inject`), so can a lost link, before, in and after a
  commit, also for other processes.

What it does not do, where a real server differs: it has one AMP and no spool; writers to the same
SQLite file wait for each other, and a reader sees what was committed: LOCKING ROW FOR ACCESS is
never dirty here; no rights, space, statistics or workload rules; lengths are counted in characters
and not in UTF-16 units; plans and speed are SQLite's.
"""

from mfprefect_dev.teradata.engine.server import EmulatedTeradata, RealTeradata, install

__all__ = ["EmulatedTeradata", "RealTeradata", "install"]
