"""Released checkpoints to models of ours and back, tensor by tensor.

`sizes.py` says what a checkpoint is made of, `expected.py` which tensors it must hold, `names.py`
where each goes; `shards.py` reads and writes folders of safetensors. `forward.py` converts: a
`job.py` from the `tensors.py` of the release to these and the other `files.py` of ours; `back.py`
goes the other way. `command.py` is `tpo convert`.
"""
