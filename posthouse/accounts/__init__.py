"""People and permissions: who an address is, who may log in, who may send as whom."""
