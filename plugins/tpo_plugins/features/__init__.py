"""`tpo features extract`: clip features of a folder of videos, for heads that read them from files.

`extractors.py` says what computes them, `questions.py` which questions are asked about which video,
`extract.py` goes through the videos.
"""
