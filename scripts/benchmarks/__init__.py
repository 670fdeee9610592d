"""The benchmarks of ``bench.py``: each measures one thing and its ceiling in the same run."""
