"""One small model for all tests of inference, and ways to make it write what a test wants."""

from __future__ import annotations

import pytest
import torch

from tpo_core.backbone import RenderedBranch, RenderedRecord
from tpo_core.batch import pack
from tpo_core.inference.question import as_question, prepare
from tpo_core.media.open import open_media
from tpo_core.media.write import write_video


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Region and temporal heads on a random tiny backbone, its adapter not at rest."""
    from tests.backbones.tiny_families import write
    from tpo_core.build import attach

    folder = write("llava_onevision", tmp_path_factory.mktemp("inference"))
    torch.manual_seed(0)
    built = attach(str(folder), {"region": {}, "temporal": {"width": 16}}, device="cpu")
    torch.manual_seed(3)  # an LLM that does not change with the number of weights in the heads
    for name, parameter in built.backbone.model.named_parameters():
        if "lora_B" in name or "trainable_tokens" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    built.num_frames = 4
    return built.eval()


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Two videos of eight frames, two seconds each."""
    folder = tmp_path_factory.mktemp("videos")
    paths = []
    for number in range(2):
        generator = torch.Generator().manual_seed(number)
        frames = torch.randint(0, 256, (8, 3, 4, 4), dtype=torch.uint8, generator=generator)
        frames = frames.repeat_interleave(14, -1).repeat_interleave(14, -2)
        paths.append(folder / f"v{number}.mp4")
        write_video(paths[-1], frames, fps=4)
    return paths


@pytest.fixture
def write_out(model, monkeypatch):
    """Return a function that makes the LLM write given tokens, one a step."""
    real = model.backbone.logits

    def script(tokens):
        steps = iter([*tokens])

        def biased(states):
            logits = real(states).clone()
            token = next(steps, None)
            if token is not None:
                logits[:, token] += 1e4
            return logits

        monkeypatch.setattr(model.backbone, "logits", biased)

    return script


@pytest.fixture
def favour(model, monkeypatch):
    """Return a function that adds to the logits of given tokens at every step."""
    real = model.backbone.logits

    def bias(tokens, amount):
        def biased(states):
            logits = real(states).clone()
            logits[:, list(tokens)] += amount
            return logits

        monkeypatch.setattr(model.backbone, "logits", biased)

    return bias


@pytest.fixture
def states_of(model, monkeypatch):
    """States that reached heads, by task, filled while predicting."""
    real, seen = model.decode_head, {}

    def spy(head, states, *rest):
        seen.setdefault(head.tokens[0].task, []).append(states.clone())
        return real(head, states, *rest)

    monkeypatch.setattr(model, "decode_head", spy)
    return seen


@pytest.fixture
def forward(model):
    """Return a function that runs a question and its answer's ids in one teacher-forced pass."""

    @torch.no_grad()
    def run(question, ids):
        prepared = prepare(0, as_question(question), model.vocabulary)
        asked = prepared.question
        media = None
        if asked.media is not None:
            media = open_media(asked.media, num_frames=model.num_frames, required=asked.frames)
        prompt = model.backbone.renderer.render(media, [prepared.messages], generate=True)
        whole = torch.cat([prompt.branches[0].ids, torch.tensor(ids, dtype=torch.long)])
        branch = RenderedBranch(ids=whole, supervised=torch.zeros(len(whole), dtype=torch.bool))
        record = RenderedRecord(
            prefix_ids=prompt.prefix_ids,
            branches=(branch,),
            inputs=prompt.inputs,
            media=media,
            extras=prompt.extras,
        )
        known = torch.tensor(list(model.vocabulary.prompts))
        embeddings = model.prompt_embeddings(
            [(p.task, p) for p in prepared.prompts], whole[torch.isin(whole, known)]
        )
        visual = model.backbone.encode([record])
        states = model.backbone(pack([record]), visual, embeddings)
        start = len(states) - len(ids)
        # The state at each token of the answer, and the log-probabilities of what came there.
        return states[start:], model.backbone.logits(states[start - 1 :]).float()

    return run
