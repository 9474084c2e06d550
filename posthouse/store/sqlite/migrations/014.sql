-- Masked addresses. A row stays for ever: what was somebody's address once is never given to anybody else.

CREATE TABLE masked_address (
  address    TEXT PRIMARY KEY,
  account_id INTEGER NOT NULL,
  item_id    INTEGER NOT NULL,        -- its item of the kind MaskedEmail; 0: it was removed for good
  takes      TEXT NOT NULL,           -- where its mail goes: inbox, trash, nowhere
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX masked_by_account ON masked_address (account_id, created_at);
