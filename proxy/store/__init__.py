"""Store: what was compared, kept in a database beyond the life of the proxy. The only user of SQLAlchemy."""
