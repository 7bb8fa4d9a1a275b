"""The rules. Pure: evidence, policies and instants come in as values, a verdict goes out.

judgement  the steps of the design in order; start at judgement.judge
evidence   what is known about a person: which records are one test, what is admitted to be judged
policy     what a policy file says, made ready to be judged by, and which version is in force
rules      what a policy is made of, one rule to a module: clauses, windows, counts, days, the notice, clearance
reasons    what fell short, and what would have been enough, in words
verdict    the answer; freshness, the next instant at which it can change by time alone
"""
