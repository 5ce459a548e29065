"""Translation of the configuration: Envoy's bootstrap, Istio's documents, Gateway API's documents.

Each module lists what its dialect cannot express. `envoy` reads the model only; `istio` and `gateway_api` keep the
documents of their own dialect, and write the rest from the model.
"""
