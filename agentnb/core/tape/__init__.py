"""Tapes: the calls of a unit of work and their answers, recorded and replayed without a network.

Services know `hook` alone; `recorder` and `replayer` are its two sides, and `document` is the file.
"""
