"""The configuration said in other words: Envoy's bootstrap, Istio's documents, Gateway API's.

Each module reads the model alone, and tells what its dialect has no word for.
"""
