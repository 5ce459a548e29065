"""Configuration compiled for one worker: the `snapshot`, each `route` in it, and the `state` that outlives it."""
