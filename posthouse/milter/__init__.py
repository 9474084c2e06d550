"""The milter protocol, as mail servers speak it with filters: octets and values, no sockets."""
