"""An *emulated* Teradata for tests. It is no evidence of compatibility.

mfprefect is built without access to a Teradata server. This emulator runs the contract suite and
catches regressions: it has the interface of the driver `teradatasql` and keeps tables in SQLite
files. It implements the rules of Teradata that its authors read or remembered. A passing test
shows that mfprefect follows those rules, not that a real server agrees.

The emulator

- parses every request with its own grammar and refuses what it does not know (3706);
- runs a `lint` on every request for what Teradata refuses or silently misreads;
- runs sessions in ANSI mode: an error undoes its request, DDL ends its transaction (3722), reserved
  words are no names;
- locks row hashes by unique indexes and tables otherwise, to the end of the transaction; queues,
  upgrades, LOCKING, deadlocks (2631); with ACCESS, a request sees what is not committed;
- enforces lengths, ranges, NOT NULL, unique indexes (NULLs are equal), CHECK and references;
  compares text without trailing blanks, refuses to compare CLOB and BLOB, counts in DECIMAL;
- limits the row locks of a transaction (9128) and the rows of a batch;
- enforces the conditions of FastLoad, silently drops rows that do not fit, and leaves the table
  unreadable after a lost link;
- injects any error and lost links (`EmulatedTeradata.inject`): before, during and after a commit,
  in other processes too.

A real server differs. The emulator has one AMP and no spool space. Rights, space, statistics and
workload rules are missing. Lengths count characters, not UTF-16 units. Plans are SQLite's.
"""

from mfprefect_dev.teradata.engine.server import EmulatedTeradata, RealTeradata, install

__all__ = ["EmulatedTeradata", "RealTeradata", "install"]
