"""The main job on the embedded tiny world: attach, evaluate, train in stages, evaluate, report.

`plan.py` says how much of everything, `run.py` does it phase by phase, `state.py` remembers what is
done, `show.py` is what the terminal sees, `command.py` is `tpo quickstart`.
"""
