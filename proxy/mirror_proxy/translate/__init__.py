"""The configuration said in other words: Envoy's bootstrap, Istio's documents, Gateway API's.

Each module tells what its dialect has no word for. `envoy` reads the model alone; `istio` and `gateway_api`
keep the documents that are theirs already, and write the rest from the model.
"""
