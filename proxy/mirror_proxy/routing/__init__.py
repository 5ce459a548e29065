"""From a request's head to a route and one of its destinations. Pure: time and random draws are arguments."""
