-- Mailing lists. Nodes of the schema before do not know them: make the first one when all nodes are new.

CREATE TABLE mailing_list (
  address    text PRIMARY KEY,
  domain     text NOT NULL,
  title      text NOT NULL,
  posting    text NOT NULL,          -- who may post
  rewriting  text NOT NULL,          -- when From becomes the list's address
  owners     text NOT NULL,          -- JSON: addresses
  created_at bigint NOT NULL
);
CREATE INDEX mailing_list_by_domain ON mailing_list (domain, address);

CREATE TABLE list_member (
  list       text NOT NULL,
  member     text NOT NULL,
  added_at   bigint NOT NULL,
  bounces    bigint NOT NULL,       -- days on which copies came back
  bounced_at bigint NOT NULL,
  PRIMARY KEY (list, member)
);
