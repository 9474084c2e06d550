-- Addresses that nothing is sent to, and those suggested for it.

CREATE TABLE suppression (
  address  TEXT PRIMARY KEY,
  active   INTEGER NOT NULL,          -- 0: only suggested
  reason   TEXT NOT NULL,
  failures INTEGER NOT NULL,          -- refusals as unknown in a row; 0: put there by hand
  at       REAL NOT NULL
) WITHOUT ROWID;
