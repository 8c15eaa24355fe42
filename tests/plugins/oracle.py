"""A stand-in for a model that knows the labels of a world's test split."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from tpo_core.inference import Answer
from tpo_core.media.sampling import choose_frames
from tpo_core.records.reader import RecordFile
from tpo_core.records.rle import decode
from tpo_core.results import Box, MaskTrack, Moments, Span


class Oracle(torch.nn.Module):
    """Answers from the labels, changed by `spoil`."""

    def __init__(self, folder, spoil=lambda results: results, chat=lambda text: text):
        super().__init__()
        self.head_by_task = dict.fromkeys(("region", "temporal", "mask"))
        self.origin = SimpleNamespace(backbone="oracle", heads=self.head_by_task)
        self.backbone = SimpleNamespace(choose_frames=choose_frames)
        self.spoil, self.chat, self.known = spoil, chat, {}
        file = RecordFile(folder / "test.jsonl")
        for index in range(len(file)):
            parsed = file.parse(index)
            for number, branch in enumerate(parsed.record.branches):
                prompts = parsed.prompts[number]
                key = (str(parsed.media_path), branch.messages[0].content, prompts)
                self.known[key] = (branch.messages[1].content, parsed.targets[number])

    def predict_batch(self, questions, **decoding):
        return [self._answer(question) for question in questions]

    def _answer(self, question):
        media = question.media
        text, targets = self.known[media.source, question.text, question.prompts]
        assert len(media.indices) == media.total_frames
        results = self.spoil([(target.task, truth(target, media)) for target in targets])
        return Answer(
            question=question,
            text=text if targets else self.chat(text),
            results=tuple(results),
            media=media,
            num_frames=None,
            finish_reason="stop",
            token_ids=(),
            log_prob=0.0,
            marked_text=text,
        )


def truth(target, media):
    if target.task == "region":
        return Box(*target.box)
    if target.task == "temporal":
        return Moments(spans=tuple(Span(*span) for span in target.spans))
    indices = tuple(target.frames)
    masks = torch.stack([decode(rle) for rle in target.frames.values()])
    return MaskTrack(masks=masks, indices=indices, times=tuple(media.times.tolist()))
