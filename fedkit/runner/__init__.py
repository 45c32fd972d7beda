"""The headless runner behind `reproduce.py`: plans, runs notebooks in child processes, collects. It never trains.

Reads like its data: options -> notebooks -> parameters -> fingerprint -> plan -> execute (child) -> records.
Nothing here imports torch; papermill is imported only when something is run or a parameter is given.
"""
