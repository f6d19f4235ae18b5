"""A client's whole record: the tables that it consists of, and the ZIP file that it is given as."""
