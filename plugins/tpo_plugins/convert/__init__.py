"""Released checkpoints to models of ours and back, tensor by tensor.

`sizes.py` says what a checkpoint is made of, `expected.py` which tensors it must hold, `names.py`
where each goes; `shards.py` reads and writes folders of safetensors, `forward.py` and `back.py`
convert, `command.py` is `tpo convert`.
"""
