"""The CG-DETR head: clip features from each source, labels, seconds, bad input, learning."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tpo_core.errors import InputError
from tpo_core.head import HeadContext
from tpo_core.media.types import FrameFeatures, Media
from tpo_core.records.schema import Saliency, TemporalTarget
from tpo_core.results import Moments
from tpo_core.testing import HeadConformance
from tpo_heads.clip_features import ClipFeatures, build_source
from tpo_heads.temporal_cgdetr import CGDETR, CGDETRHead, CGDETRSettings
from tpo_heads.temporal_cgdetr.clips import batch_clips
from tpo_heads.temporal_cgdetr.matcher import match
from tpo_heads.temporal_cgdetr.objective import set_targets
from tpo_heads.temporal_cgdetr.outputs import Prediction

SHAPES = Path(__file__).parents[1] / "golden" / "tpo" / "checkpoint_shapes.json"
SMALL = {
    "hidden_dim": 32, "nheads": 4, "dim_feedforward": 64, "enc_layers": 1, "dec_layers": 2,
    "t2v_layers": 1, "dummy_layers": 1, "num_queries": 4, "num_dummies": 3, "total_prompts": 4,
    "dropout": 0.0, "input_dropout": 0.0,
}  # fmt: skip
QUESTION = "When does it jump?"


class TestCGDETR(HeadConformance):
    bad_options = (
        {"span_scale": "frames"},
        {"threshold": 2.5},
        {"features": "decord"},
        {"features": {"backbone": {}, "files": {}}},
        {"model": {"v_feat_dim": 3}},
        {"model": {"queries": 3}},
    )

    @pytest.fixture
    def head_factory(self):
        return small_head


def small_head(hidden_size: int, **options: Any) -> CGDETRHead:
    return CGDETRHead(hidden_size, **{"model": SMALL, **options})


def video(clips: int, *, step: float = 1.0, source: str = "memory") -> Media:
    return Media(
        kind="video",
        frames=None,
        times=torch.arange(clips, dtype=torch.float64) * step,
        indices=tuple(range(clips)),
        size=(48, 48),
        duration=clips * step,
        total_frames=clips,
        source=source,
    )


def context_of(*features: Tensor, step: float = 1.0) -> HeadContext:
    """One slot a video, with frame features `[T, n, D]`."""
    media = tuple(video(len(item), step=step) for item in features)
    return HeadContext(
        media=media,
        media_index=torch.arange(len(media)),
        features=tuple(
            FrameFeatures(features=item, times=one.times + step / 2, duration=one.duration)
            for item, one in zip(features, media, strict=True)
        ),
        questions=(QUESTION,) * len(media),
    )


def clips(count: int, *, width: int = 4, words: int = 0, length: float = 2.0) -> ClipFeatures:
    return ClipFeatures(
        video=torch.randn(count, width),
        text=torch.randn(words, 6),
        clip_length=length,
        duration=count * length + 0.5,
    )


# ---- the model


def test_released_size_has_the_checkpoints_keys_and_shapes() -> None:
    with torch.device("meta"):
        head = CGDETRHead(
            4096, features={"files": {"videos": "v", "clip_length": 1.0, "texts": "t"}}
        )
    table = json.loads(SHAPES.read_text(encoding="utf-8"))
    expected = {k: v for k, v in table["shapes"].items() if k.startswith("cg_model.")}
    found = {name: list(value.shape) for name, value in head.state_dict().items()}
    assert len(expected) == 285
    assert found == expected


def test_a_forward_pass_looks_at_no_value() -> None:
    """Nothing waits for the device: on the meta device there is no value to look at."""
    with torch.device("meta"):
        model = CGDETR(CGDETRSettings())
        video, text, states = torch.empty(2, 60, 770), torch.empty(2, 9, 4096), torch.empty(2, 4096)
        valid = [torch.ones(2, length, dtype=torch.bool) for length in (60, 9)]
        outputs = model(video, valid[0], text, valid[1], states)
        model.moments(outputs.inputs, valid[0])
    assert [prediction.spans.shape for prediction in outputs.predictions] == [(2, 10, 2)] * 3
    assert outputs.attention.shape == (2, 60, 45 + 9 + 1)


@pytest.mark.parametrize("prompts", [1, 3])
def test_samples_are_the_same_alone_and_padded(prompts: int) -> None:
    torch.manual_seed(0)
    settings = CGDETRSettings(v_feat_dim=6, t_feat_dim=10, **SMALL, num_prompts=prompts)
    model = CGDETR(settings).eval()
    lengths, words = (7, 3, 1), (0, 5, 2)
    states = torch.randn(3, 10)
    videos = [torch.randn(count, 6) for count in lengths]
    texts = [torch.randn(count, 10) for count in words]
    padded = torch.randn(3, 7, 6), torch.randn(3, 5, 10)  # padding is not zero
    for row in range(3):
        padded[0][row, : lengths[row]], padded[1][row, : words[row]] = videos[row], texts[row]
    valid = [
        torch.arange(most) < torch.tensor(counts)[:, None]
        for most, counts in ((7, lengths), (5, words))
    ]
    whole = model(padded[0], valid[0], padded[1], valid[1], states)
    for row in range(3):
        alone = model(
            videos[row][None], torch.ones(1, lengths[row]).bool(),
            texts[row][None], torch.ones(1, words[row]).bool(), states[row : row + 1],
        )  # fmt: skip
        for one, other in zip(whole.predictions, alone.predictions, strict=True):
            torch.testing.assert_close(one.logits[row], other.logits[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(one.spans[row], other.spans[0], atol=1e-5, rtol=1e-5)
        saliency = whole.saliency[row, : lengths[row]]
        torch.testing.assert_close(saliency, alone.saliency[0], atol=1e-5, rtol=1e-5)


def test_a_still_video_does_not_blow_the_gradient_up() -> None:
    torch.manual_seed(0)
    head = small_head(8)
    frame = torch.randn(1, 3, 8)
    still, single = frame.expand(6, 3, 8).clone().requires_grad_(), frame.clone().requires_grad_()
    context = context_of(still, single)
    outputs = head(torch.randn(2, 8), context)
    targets = [TemporalTarget(spans=[(0.0, 1.0)]), TemporalTarget(spans=[(0.0, 1.0)])]
    torch.stack([total for total, _ in head.loss(outputs, targets).values()]).sum().backward()
    for features in (still, single):
        assert features.grad is not None
        assert features.grad.abs().max() < 100


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"hidden_dim": 36, "nheads": 4},
            "hidden_dim is 36; expected a multiple of the text encoders' heads, 8",
        ),
        ({"hidden_dim": 32, "nheads": 3}, "hidden_dim is 32; expected a multiple of the nheads, 3"),
        ({"num_queries": 0}, "num_queries is 0; expected at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0; expected 0 <= it < 1"),
        ({"num_prompts": 11}, "num_prompts is 11; expected at most total_prompts, 10"),
    ],
)
def test_sizes_out_of_range_are_named(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CGDETRHead(16, model=sizes)


def test_a_diverged_model_is_matched_all_the_same() -> None:
    prediction = Prediction(
        logits=torch.full((1, 3, 2), torch.nan), spans=torch.full((1, 3, 2), torch.nan)
    )
    matching = match(prediction, torch.tensor([[[0.5, 0.2]]]), torch.ones(1, 1).bool())
    assert len(matching.queries) == 1


# ---- clips as a batch


def test_rows_are_scaled_to_length_one_before_time_is_appended() -> None:
    items = [clips(4, words=2), clips(2)]
    batch = batch_clips(
        items, widths=(4, 6), normalize=True, span_scale="clips", like=torch.empty(0)
    )
    assert batch.video.shape == (2, 4, 6)
    norm = items[0].video.norm(dim=1, keepdim=True) + 1e-5
    torch.testing.assert_close(batch.video[0, :, :4], items[0].video / norm)
    torch.testing.assert_close(batch.video[0, :, 4], torch.tensor([0, 0.25, 0.5, 0.75]))
    torch.testing.assert_close(batch.video[1, :2, 4:], torch.tensor([[0, 0.5], [0.5, 1]]))
    assert batch.video_valid.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.text.shape == (2, 2, 6)
    torch.testing.assert_close(batch.text[0].norm(dim=1), torch.ones(2), atol=1e-4, rtol=0)
    assert batch.text_valid.tolist() == [[True, True], [False, False]]
    raw = batch_clips(
        items, widths=(4, 6), normalize=False, span_scale="clips", like=torch.empty(0)
    )
    torch.testing.assert_close(raw.video[0, :, :4], items[0].video)


@pytest.mark.parametrize(
    ("scale", "edges"), [("clips", [0, 2, 4, 4]), ("duration", [0, 4.5, 9, 9])]
)
def test_span_scale_says_what_the_end_stands_for(scale: Any, edges: list[float]) -> None:
    items = [replace(clips(2), duration=9.0), clips(3)]
    batch = batch_clips(items, widths=(4, 6), normalize=True, span_scale=scale, like=torch.empty(0))
    assert batch.timeline.edges[0].tolist() == edges
    assert batch.timeline.lengths.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": torch.zeros(3, 5)}, r"clip features have shape \[3, 5\]; .* width, 4"),
        ({"video": torch.zeros(0, 4)}, r"clip features have shape \[0, 4\]; expected at least 1"),
        ({"text": torch.zeros(2, 4)}, r"text features have shape \[2, 4\]; .* width, 6"),
        ({"clip_length": 0.0}, r"clips of 0.0 s of a video of 4.5 s; expected both above 0"),
    ],
)
def test_features_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    items = [replace(clips(2), **change)]
    with pytest.raises(InputError, match=message):
        batch_clips(items, widths=(4, 6), normalize=True, span_scale="clips", like=torch.empty(0))


# ---- labels


def labels_of(*targets: TemporalTarget, counts: Sequence[int]) -> Any:
    items = [replace(clips(count), duration=2.0 * count) for count in counts]
    batch = batch_clips(
        items, widths=(4, 6), normalize=True, span_scale="clips", like=torch.empty(0)
    )
    return set_targets(targets, batch.timeline)


def test_clips_half_covered_belong_to_a_moment() -> None:
    labels = labels_of(
        TemporalTarget(spans=[(1.0, 4.5), (7.5, 8.1)]),
        TemporalTarget(spans=[(0.0, 2.0)]),
        counts=(5, 2),
    )
    # No clip is half covered by the short moment; the fourth is covered most.
    assert labels.labels.tolist() == [[1, 1, 0, 1, 0], [1, 0, 0, 0, 0]]
    torch.testing.assert_close(labels.spans[0], torch.tensor([[0.275, 0.35], [0.78, 0.06]]))
    assert labels.real.tolist() == [[True, True], [True, False]]
    assert labels.pairs[0].nonzero().tolist() == [[0, 2], [0, 4], [1, 2], [1, 4], [3, 2], [3, 4]]
    assert labels.pairs[1].nonzero().tolist() == [[0, 1]]


def test_saliency_becomes_ranks_of_twelve() -> None:
    given = Saliency(times=[0.5, 1.5, 3.0, 9.0], scores=[0.5, 1.0, 0.25, 0.0])
    labels = labels_of(TemporalTarget(spans=[(0.0, 6.0)], saliency=given), counts=(5,))
    assert labels.labels.tolist() == [[9, 3, 1, 0, 0]]
    assert int(labels.pairs.sum()) == 4 + 3 + 2


def test_a_moment_past_the_last_clip_is_trained_as_that_clip() -> None:
    labels = labels_of(TemporalTarget(spans=[(4.1, 4.4)]), counts=(2,))
    torch.testing.assert_close(labels.spans, torch.tensor([[[0.75, 0.5]]]))
    assert labels.labels.tolist() == [[0, 1]]


def test_no_more_spans_are_counted_than_queries() -> None:
    torch.manual_seed(0)
    head = small_head(8)
    targets = [
        TemporalTarget(spans=[(k, k + 0.5) for k in range(6)]), TemporalTarget(spans=[(0.0, 2.0)]),
    ]  # fmt: skip
    counts = head.counts(targets)
    assert (counts["span"], counts["giou"], counts["label"]) == (5.0, 5.0, 2.0)
    terms = head.loss(head(torch.randn(2, 8), context_of(*torch.randn(2, 7, 3, 8))), targets)
    assert {name: count for name, (_, count) in terms.items()} == counts


# ---- seconds


def decoded(head: CGDETRHead, spans: Tensor, probability: Tensor, *, step: float = 2.0) -> Moments:
    """Decode Q spans (centre, width) of one video of 5 clips."""
    context = context_of(torch.randn(5, 2, head.hidden_size), step=step)
    outputs = head(torch.randn(1, head.hidden_size), context)
    logits = torch.stack([probability.log(), (1 - probability).log()], dim=-1)
    prediction = Prediction(logits=logits[None], spans=spans[None])
    outputs = replace(outputs, model=replace(outputs.model, predictions=(prediction,)))
    (moments,) = head.decode(outputs, context)
    assert isinstance(moments, Moments)
    return moments


SPANS = torch.tensor([[0.9, 0.4], [0.2, 0.2], [0.22, 0.2], [0.6, 0.13]])


def test_moments_are_ranked_seconds_within_the_video() -> None:
    moments = decoded(small_head(8), SPANS, torch.tensor([0.3, 0.9, 0.8, 0.7]))
    found = [(span.start, span.end, span.score) for span in moments.spans]
    expected = [(1, 3, 0.9), (1.2, 3.2, 0.8), (5.35, 6.65, 0.7), (7, 10, 0.3)]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-5)
    assert moments.times == (1, 3, 5, 7, 9)
    assert len(moments.saliency) == 5


def test_moments_are_counted_until_one_repeats_another_or_is_unlikely() -> None:
    repeated = decoded(small_head(8), SPANS, torch.tensor([0.3, 0.9, 0.8, 0.7]))
    distinct = decoded(small_head(8), SPANS, torch.tensor([0.3, 0.9, 0.6, 0.7]))
    unlikely = decoded(small_head(8), SPANS, torch.tensor([0.1, 0.3, 0.2, 0.1]))
    assert [moments.count for moments in (repeated, distinct, unlikely)] == [1, 2, 1]


def test_moments_may_be_rounded_to_whole_clips() -> None:
    head = small_head(8, round_to_clips=True)
    moments = decoded(head, SPANS, torch.tensor([0.3, 0.9, 0.8, 0.7]))
    ends = [(span.start, span.end) for span in moments.spans]
    assert ends == [(0, 4), (2, 4), (6, 6), (8, 10)]  # halves to even: 1 s of 2 s clips is 0


# ---- sources


def test_the_backbones_tokens_are_pooled_by_time() -> None:
    source = build_source("backbone", hidden_size=6)
    context = context_of(torch.randn(4, 3, 6), step=1.5)
    made = source.clips(
        context.media[0], QUESTION, frame_features=context.features[0], device=torch.device("cpu")
    )
    torch.testing.assert_close(made.video, context.features[0].features.mean(1))
    assert made.text.shape == (0, 6)
    assert (made.clip_length, made.duration) == (1.5, 6.0)
    head = small_head(6)
    assert head.needs == {"frame_features"}
    with pytest.raises(InputError, match="came without the backbone's frame features"):
        head(torch.randn(1, 6), replace(context, features=()))
    with pytest.raises(InputError, match=r"shape \[4, 0, 6\]; expected \[T, n, D\]"):
        head(torch.randn(1, 6), context_of(torch.randn(4, 0, 6)))


WRITERS: dict[str, Callable[[Tensor, Path], Any]] = {
    ".npy": lambda rows, path: np.save(path, rows.numpy()),
    ".pt": lambda rows, path: torch.save(rows, path),
    ".safetensors": lambda rows, path: save_file({"features": rows}, path),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_clip_features_are_read_from_a_file_named_after_the_video(
    tmp_path: Path, suffix: str
) -> None:
    rows = torch.randn(6, 5)
    WRITERS[suffix](rows, tmp_path / f"v1{suffix}")
    features = {"files": {"videos": str(tmp_path), "clip_length": 2.0, "width": 5}}
    head = small_head(8, features=features)
    assert head.needs == frozenset()
    media = video(12, source="somewhere/v1.mp4")
    made = head.source.clips(media, QUESTION, frame_features=None, device=torch.device("cpu"))
    torch.testing.assert_close(made.video, rows)
    assert (made.clip_length, made.duration, len(made.text)) == (2.0, 12.0, 0)
    context = HeadContext(media=(media,), media_index=torch.tensor([0, 0]))
    assert len(head.decode(head(torch.randn(2, 8), context), context)) == 2


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_questions_words_come_before_the_state(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    words = {QUESTION: torch.randn(3, 7), "Who?": torch.randn(2, 7)}
    save_file({"features": torch.randn(6, 5)}, tmp_path / "v1.safetensors")
    (tmp_path / "text").mkdir()
    save = {".pt": torch.save, ".safetensors": save_file}[suffix]
    save(words, tmp_path / "text" / f"v1{suffix}")
    files = {"videos": str(tmp_path), "clip_length": 2.0, "width": 5,
             "texts": str(tmp_path / "text"), "text_width": 7}  # fmt: skip
    head = small_head(8, features={"files": files}).eval()
    assert head.prompt_proj.weight.shape == (7, 8)  # the state is brought to the words' width
    context = HeadContext(
        media=(video(12, source="v1.mp4"),),
        media_index=torch.tensor([0, 0, 0]),
        questions=(QUESTION, "Who?", QUESTION),
    )
    outputs = head(torch.randn(1, 8).expand(3, 8), context)
    assert outputs.model.inputs.text_valid.sum(1).tolist() == [3 + 4, 3 + 3, 3 + 4]
    scores = outputs.model.saliency
    torch.testing.assert_close(scores[0], scores[2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(scores[0], scores[1], atol=1e-3)
    with pytest.raises(InputError, match=r"holds 2 other questions; expected .* 'Where\?'"):
        head(torch.randn(1, 8), HeadContext(media=context.media, media_index=torch.tensor([0]),
                                            questions=("Where?",)))  # fmt: skip


def write_bad(name: str, folder: Path) -> None:
    if name == "two files":
        torch.save(torch.zeros(6, 5), folder / "v1.pt")
    contents: dict[str, Any] = {
        "wide": torch.zeros(6, 9), "rate": torch.zeros(12, 5), "not finite": torch.zeros(6, 5) / 0,
        "empty": torch.zeros(0, 5),
    }  # fmt: skip
    if name == "broken":
        (folder / "v1.npy").write_bytes(b"\x93NUMPY broken")
    elif name == "code":
        np.save(folder / "v1.npy", np.array([object()]), allow_pickle=True)
    elif name == "several":
        save_file({"a": torch.zeros(6, 5), "b": torch.zeros(6, 5)}, folder / "v1.safetensors")
    elif name != "missing":
        np.save(folder / "v1.npy", contents.get(name, torch.zeros(6, 5)).numpy())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"has no file for the clip features of a/v1.mp4; expected one out of v1.npy"),
        ("two files", r"has both v1.npy and v1.pt for the clip features"),
        ("wide", r"v1.npy has features of shape \[6, 9\]; expected \[rows, 5\]"),
        ("empty", r"v1.npy has features of shape \[0, 5\]; expected \[rows, 5\]"),
        ("rate", r"has 12 clips of 2 s, but its video lasts 12.0 s, which makes about 6; declare"),
        ("not finite", r"v1.npy has values that are not finite"),
        ("broken", r"v1.npy cannot be read \(.*\); write the features as a plain tensor again"),
        ("code", r"v1.npy cannot be read \(Object arrays cannot be loaded"),
        ("several", r"v1.safetensors holds 2 tensors; expected one tensor of shape \[rows, 5\]"),
    ],
)
def test_bad_feature_files_are_named(tmp_path: Path, name: str, message: str) -> None:
    write_bad(name, tmp_path)
    files = {"videos": str(tmp_path), "clip_length": 2.0, "width": 5}
    source = build_source({"files": files}, hidden_size=8)
    media = video(12, source="a/v1.mp4")
    with pytest.raises(InputError, match=message):
        source.clips(media, QUESTION, frame_features=None, device=torch.device("cpu"))


def test_a_video_without_features_is_skipped_in_training(tmp_path: Path) -> None:
    files = {"videos": str(tmp_path), "clip_length": 2.0, "width": 5}
    head = small_head(8, features={"files": files})
    target = TemporalTarget(spans=[(0.0, 1.0)])
    reason = head.skip_reason(target, video(12, source="v1.mp4"))
    assert reason is not None
    assert "has no file for the clip features of v1.mp4" in reason
    assert "without a file was asked about" in str(head.skip_reason(target, video(12)))
    np.save(tmp_path / "v1.npy", np.zeros((6, 5), np.float32))
    assert head.skip_reason(target, video(12, source="v1.mp4")) is None
    files |= {"texts": str(tmp_path / "text"), "text_width": 3}
    head = small_head(8, features={"files": files})
    reason = head.skip_reason(target, video(12, source="v1.mp4"))
    assert reason is not None
    assert "text has no file for the text features of v1.mp4" in reason


def test_a_clip_length_may_be_a_whole_number(tmp_path: Path) -> None:
    np.save(tmp_path / "v1.npy", np.zeros((6, 5), np.float32))
    files = {"videos": str(tmp_path), "clip_length": 2, "width": 5}
    head = small_head(8, features={"files": files})
    media = video(12, source="v1.mp4")
    context = HeadContext(media=(media,), media_index=torch.zeros(1, dtype=torch.long))
    outputs = head(torch.zeros(1, 8), context)
    assert outputs.timeline.edges.dtype == outputs.clip_length.dtype == torch.float32
    assert outputs.timeline.edges.tolist() == [[0, 2, 4, 6, 8, 10, 12]]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"files": {"clip_length": 2.0}}, "'files' .* missing 1 required keyword.* 'videos'"),
        ({"files": {"videos": "v", "clip_length": 0}}, "clip_length is 0; expected more than 0"),
        ({"backbone": {"pool": "max"}}, "'backbone' with options .*unexpected keyword.* 'pool'"),
        (["backbone"], r"features is \['backbone'\]; expected a source's name"),
    ],
)
def test_bad_source_options_are_named(features: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_head(8, features=features)


def test_what_is_no_moment_of_a_video_is_skipped() -> None:
    head, target = small_head(8), TemporalTarget(spans=[(0.0, 1.0), (9.5, 11.0)])
    assert head.skip_reason(target, video(10)) is None
    assert head.skip_reason(target, None) == "no media item to find moments in"
    late = "moment [9.5, 11.0] starts after the video's end, 9.0 s"
    assert head.skip_reason(target, video(9)) == late
    picture = replace(video(1), kind="image")
    assert head.skip_reason(target, picture) == (
        "moments were asked of a picture; they need a video"
    )


# ---- learning


def test_finds_when_the_asked_object_is_there() -> None:
    """Clips hold one of four objects, another one at another time; the state names one."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    seen, asked = (torch.linalg.qr(torch.randn(16, 16, generator=generator))[0] for _ in range(2))

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    def batch(slots: int) -> tuple[Tensor, HeadContext, list[TemporalTarget]]:
        states, features, targets = [], [], []
        for _ in range(slots):
            frames = 0.1 * torch.randn(8, 2, 16, generator=generator)
            wanted, other = torch.randperm(4, generator=generator)[:2].tolist()
            start, elsewhere = draw(0, 5), draw(0, 6)
            end = start + draw(2, 4)
            frames[start:end] += seen[wanted]
            frames[elsewhere : elsewhere + 2] += seen[other]
            states.append(asked[wanted])
            features.append(frames)
            targets.append(TemporalTarget(spans=[(start, end)]))
        return torch.stack(states), context_of(*features), targets

    head = small_head(16)
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    for _ in range(150):
        states, context, targets = batch(16)
        terms = head.loss(head(states, context), targets)
        loss = torch.stack([head.loss_weights[name] * t / n for name, (t, n) in terms.items()])
        optimizer.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
    states, context, targets = batch(64)
    overlaps = []
    for result, target in zip(head.eval().decode(head(states, context), context), targets,
                              strict=True):  # fmt: skip
        assert isinstance(result, Moments)
        (start, end), best = target.spans[0], result.spans[0]
        shared = min(end, best.end) - max(start, best.start)
        overlaps.append(shared / (max(end, best.end) - min(start, best.start)))
        assert math.isfinite(best.score)
    assert sum(overlap >= 0.5 for overlap in overlaps) / 64 >= 0.85
