-- New terms wait in a list that every search reads from end to end, and that PostgreSQL takes for dearer than reading
-- all messages when it is long: kept short.
ALTER INDEX search_document_by_term SET (gin_pending_list_limit = 64);
SELECT gin_clean_pending_list('search_document_by_term');
