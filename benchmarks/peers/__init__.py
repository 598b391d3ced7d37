"""Tenon beside other engines: `make bench-peers`, and what `make bench-models` and `make bench-operators` share with it.

engines    a file for each engine, with its settings
models     what is measured; flops, reference: its arithmetic and its outputs
worker     the process of one engine; process: its parent's side, rounds, and the probe of the machine
sections   what is asked of the processes; stats: what follows from the answers
report     Markdown, with tables and plot for its parts
"""
