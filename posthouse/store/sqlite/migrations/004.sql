-- What imports and exports have done, so that they can go on where they were cut off.

CREATE TABLE transferred (
  account_id INTEGER NOT NULL,
  mark       BLOB NOT NULL,
  PRIMARY KEY (account_id, mark)
) WITHOUT ROWID;
