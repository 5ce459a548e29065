"""The client's side: `listener` accepts, `connection` reads requests and writes responses."""
