"""Benchmarks: each measures a yardstick and ours in turn, in one run on one machine, and reports medians and the ratio.

A benchmark is a module of `bench.benchmarks` whose `BENCHMARK` fulfils `bench.protocol.Benchmark`; its name on
the command line is the module's, with hyphens. What it needs it starts by itself (`bench.servers`) and ends again.
"""
