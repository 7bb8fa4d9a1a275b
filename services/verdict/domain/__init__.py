"""The rules, one to a module. Pure: evidence, policies and instants come in as values, a verdict goes out.

judge        the steps 0 to 6 in order; start here
copies       which records are one and the same test
admission    step 0: what is retracted, void by its laboratory's standing, or not yet so at the instant judged
positives    step 1: open positives, clearance, the retest a positive pool leaves owed
clauses      step 2: whose test, by which channel, inside which window
counts       step 2: "three days, two tests"
notice       step 3: the national notice
sources      step 4: could a source that did not answer have helped?
waiting      step 5: a sample whose result is awaited
reasons      step 6: what fell short, and what would have been enough
days         days since the test
freshness    the next instant at which the answer can change by time alone
policy       what a policy file says; policy_set, which version is in force; compiled, ready to be judged by
model        evidence and verdict
"""
