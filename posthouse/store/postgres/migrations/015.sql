-- White space between two Chinese or Japanese characters parts no terms any more: the mail of accounts that have such
-- terms is indexed anew, behind everybody's back.

INSERT INTO new_email (account_id, email_id)
  SELECT account_id, email_id FROM search_document
  WHERE account_id IN (SELECT account_id FROM search_term WHERE term ~ '[ぁ-ヿ㐀-鿿]')
  ON CONFLICT DO NOTHING;
