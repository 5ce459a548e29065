"""From a request's head to a route and one of its destinations. Pure: no clock, no dice of its own."""
