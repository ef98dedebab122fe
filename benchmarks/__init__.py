"""How long people wait, as ratios to floors that are measured in the same run.

`make bench` (or `python -m benchmarks` where the embedded servers run) prints one line for each
figure; docs/performance.md says what they mean.
"""
