"""Beyond one machine: the PostgreSQL engine, several nodes, S3, faults."""
