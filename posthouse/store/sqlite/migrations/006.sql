-- Copies name the email whose octets they share: IMAP's EMAILID is the same for both (RFC 8474).

CREATE TABLE email_origin (           -- of copies only
  account_id INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  origin_id  INTEGER NOT NULL,
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;
