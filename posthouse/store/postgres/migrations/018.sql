-- Masked addresses. A row stays for ever: what was somebody's address once is never given to anybody else. Nodes of the
-- schema before refuse mail to them, as to nobody's.

CREATE TABLE masked_address (
  address    text PRIMARY KEY,
  account_id bigint NOT NULL,
  item_id    bigint NOT NULL,         -- its item of the kind MaskedEmail; 0: it was removed for good
  takes      text NOT NULL,           -- where its mail goes: inbox, trash, nowhere
  created_at bigint NOT NULL
);
CREATE INDEX masked_by_account ON masked_address (account_id, created_at);
