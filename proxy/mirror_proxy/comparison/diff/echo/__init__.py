"""Echo: services that show their request in the response, such as a link that is made of Host.

`changes` is what the proxy changed in a shadow request; `literal` and `members` fold it back in the shadow's response,
so that no difference is of the proxy's own making.
"""
