"""A server's own data types: texts of enumerations, fields of structures."""
