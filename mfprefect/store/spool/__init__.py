"""Sessions between the spool and the database: opened and recorded there, delivered here.

`open_document` reads and checks an entry before anything of it is written. `EntryImport` claims the
entry's session, writes and closes it. `delivery` decides which entries are delivered, and when.
"""
