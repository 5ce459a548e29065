"""Gateway API's dialect: HTTPRoute, read into the same rules as Istio's VirtualService.

`http_route` reads one document with the tables of `matches` and `filters`; `precedence` puts the routes of all
documents in the order in which the specification has them tried.
"""
