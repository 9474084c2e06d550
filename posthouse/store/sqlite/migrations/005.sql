-- Trust: DKIM keys, what is to be reported, reports, muted findings.

CREATE TABLE dkim_key (
  domain      TEXT NOT NULL,
  selector    TEXT NOT NULL,
  algorithm   TEXT NOT NULL,
  private_key TEXT NOT NULL,
  state       TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  changed_at  INTEGER NOT NULL,
  PRIMARY KEY (domain, selector)
) WITHOUT ROWID;

CREATE TABLE dmarc_tally (
  policy_domain TEXT NOT NULL,
  day           INTEGER NOT NULL,
  content       TEXT NOT NULL,          -- JSON
  messages      INTEGER NOT NULL,
  PRIMARY KEY (policy_domain, day, content)
) WITHOUT ROWID;

CREATE TABLE report (
  report_id    INTEGER PRIMARY KEY,
  sent         INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  domain       TEXT NOT NULL,
  organization TEXT NOT NULL,
  name         TEXT NOT NULL,
  begin_at     INTEGER NOT NULL,
  end_at       INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  messages     INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  content      TEXT NOT NULL            -- JSON
);
CREATE UNIQUE INDEX report_by_name ON report (sent, kind, domain, organization, name);
CREATE INDEX report_by_time ON report (at);

CREATE TABLE mute (
  domain  TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason  TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (domain, subject)
) WITHOUT ROWID;
