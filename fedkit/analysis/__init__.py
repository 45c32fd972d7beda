"""How unlike clients are: FedLLM-Bench's section 3.3 and appendix B, each view with a figure and a number.

One file a view; `texts` turns a federated dataset of any task into instructions and responses by client.
"""
