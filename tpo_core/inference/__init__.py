"""Ask a model about media: answers with typed boxes, moments and masks, in one decoding pass.

`question.py` checks what is asked, `answering.py` groups questions by media and runs them,
`decode.py` feeds tokens and catches the states of slots, `search.py` chooses tokens, `composing.py`
runs the heads, `answer.py` is what comes back.
"""

from tpo_core.inference.answer import Answer
from tpo_core.inference.answering import predict, predict_batch
from tpo_core.inference.question import Question

__all__ = ["Answer", "Question", "predict", "predict_batch"]
