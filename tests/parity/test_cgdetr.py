"""CG-DETR against the reference: outputs, training outputs, matching, every loss, gradients.

All sizes come with the golden sets, so that other sets run through the same tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tpo_heads.temporal.spans import span_iou
from tpo_heads.temporal_cgdetr import CGDETR, CGDETRSettings, SetTargets
from tpo_heads.temporal_cgdetr.criterion import set_criterion, weighted_total
from tpo_heads.temporal_cgdetr.losses import TOTAL_WEIGHT, WEIGHTS
from tpo_heads.temporal_cgdetr.matcher import match
from tpo_heads.temporal_cgdetr.objective import slot_losses
from tpo_heads.temporal_cgdetr.outputs import CGDETROutputs, Negatives
from tpo_heads.temporal_cgdetr.postprocess import rank_windows, round_to_clips, to_windows
from tpo_heads.temporal_cgdetr.spans import span_giou

GOLDEN = Path(os.environ.get("TPO_GOLDEN_DIR", Path(__file__).parents[1] / "golden")) / "tpo"
SETS = sorted(GOLDEN.glob("4_cgdetr_*.safetensors"))
POSTPROCESS = sorted(GOLDEN.glob("4_temporal_postprocess*.json"))
WHOLE = [
    path for path in sorted(GOLDEN.glob("6_full_*_weights.safetensors")) if "_sam" not in path.name
]
CASES = ("no_negatives", "with_negatives")
SECONDS = 37.0  # of the golden windows
EXACT = {"atol": 1e-5, "rtol": 0.0}


@dataclass(frozen=True)
class Run:
    """A golden set, and the model with its weights run on its inputs."""

    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    model: CGDETR
    outputs: CGDETROutputs
    targets: SetTargets

    def negatives(self, case: str) -> Negatives | None:
        ids = self.settings["vids"] if case == "with_negatives" else None
        return self.model.negatives(self.outputs.inputs, ids) if ids else None


@cache
def run(path: Path) -> Run:
    settings = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    tensors = load_file(path)
    model = load(settings["config"], tensors, crossed_masks=True)
    outputs = model(*inputs_of(tensors))
    return Run(settings, tensors, model, outputs, targets_of(tensors))


def load(config: Mapping[str, Any], tensors: Mapping[str, Tensor], **options: Any) -> CGDETR:
    model = CGDETR(CGDETRSettings(**config, **options)).eval()
    weights = {name[3:]: value for name, value in tensors.items() if name.startswith("sd.")}
    model.load_state_dict(weights, strict=True)
    return model


def inputs_of(tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return (
        tensors["in.src_vid"],
        tensors["in.src_vid_mask"].bool(),
        tensors["in.src_txt"],
        tensors["in.src_txt_mask"].bool(),
        tensors["in.prompt_token"][:, 0],
    )


def targets_of(tensors: Mapping[str, Tensor]) -> SetTargets:
    labels = tensors["tgt.saliency_all_labels"]
    spans = [tensors[f"tgt.spans{sample}"] for sample in range(len(labels))]
    pairs = torch.zeros(len(labels), labels.shape[1], labels.shape[1])
    positive, negative = tensors["tgt.saliency_pos_labels"], tensors["tgt.saliency_neg_labels"]
    for sample, clips in enumerate(zip(positive.tolist(), negative.tolist(), strict=True)):
        for above, below in zip(*clips, strict=True):
            pairs[sample, above, below] += 1
    counts = torch.tensor([len(item) for item in spans])
    return SetTargets(
        spans=pad_sequence(spans, batch_first=True),
        real=torch.arange(int(counts.max())) < counts[:, None],
        labels=labels,
        pairs=pairs,
    )


def equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, **EXACT)


def about(value: float) -> Any:
    """Within 1e-5; of a large float32, within what its neighbours are apart."""
    return pytest.approx(value, abs=max(1e-5, float(np.spacing(np.float32(value)))))


@pytest.fixture(params=SETS, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Run:
    return run(request.param)


def test_there_is_golden_data() -> None:
    assert SETS


# ---- outputs


def test_inference_outputs(golden: Run) -> None:
    outputs, tensors = golden.outputs, golden.tensors
    *earlier, last = outputs.predictions
    equal(last.logits, tensors["infer.pred_logits"])
    equal(last.spans, tensors["infer.pred_spans"])
    assert len(earlier) == sum(name.startswith("infer.aux") for name in tensors) // 2
    for number, prediction in enumerate(earlier):
        equal(prediction.logits, tensors[f"infer.aux{number}.pred_logits"])
        equal(prediction.spans, tensors[f"infer.aux{number}.pred_spans"])
    equal(outputs.saliency, tensors["infer.saliency_scores"])
    equal(outputs.attention, tensors["infer.cate_attn_weights"])
    equal(outputs.relevance, tensors["infer.t2vattnvalues"])
    equal(outputs.inputs.dummies, tensors["infer.dummy_tokens"])
    equal(outputs.inputs.text_valid.float(), tensors["infer.txt_mask"].float())
    equal(outputs.inputs.video_valid.float(), tensors["infer.video_mask"].float())


def test_windows_in_seconds(golden: Run) -> None:
    last = golden.outputs.predictions[-1]
    duration = torch.full((len(last.spans),), SECONDS)
    windows = to_windows(last.spans, last.logits.softmax(-1)[..., 0], duration)
    equal(windows, golden.tensors["infer.windows_sec_fgprob"])


@pytest.mark.parametrize("case", CASES)
def test_training_outputs(golden: Run, case: str) -> None:
    tensors, prefix = golden.tensors, f"train.{case}."
    outputs = golden.outputs
    moments = golden.model.moments(outputs.inputs, golden.targets.relevant)
    computed = {
        "pred_logits": outputs.predictions[-1].logits,
        "pred_spans": outputs.predictions[-1].spans,
        "saliency_scores": outputs.saliency,
        "memory_moment": moments.moment,
        "nmmemory_moment": moments.rest,
        "sentence_txt": moments.sentence,
        "sentence_dummy": moments.dummy_sentence,
        "moment2txt_similarity": moments.similarity,
        "src_vid": moments.clips,
    }
    negatives = golden.negatives(case)
    if negatives is not None:
        computed["saliency_scores_neg"] = negatives.saliency
        computed["real_neg_mask"] = negatives.real
    elif f"{prefix}real_neg_mask" in tensors:
        computed["real_neg_mask"] = torch.zeros(len(outputs.saliency), dtype=torch.bool)
    names = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    assert names == set(computed)
    for name in sorted(names):
        torch.testing.assert_close(
            computed[name], tensors[prefix + name], **EXACT, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.skipif(not WHOLE, reason="no whole-model set with weights")
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_as_part_of_the_whole_model(path: Path) -> None:
    base = path.with_name(path.name.replace("_weights", ""))
    settings = json.loads(base.with_suffix(".json").read_text(encoding="utf-8"))
    tensors, weights = load_file(base), load_file(path)
    prefix = "sd.cg_model."
    own = {f"sd.{k[len(prefix) :]}": v for k, v in weights.items() if k.startswith(prefix)}
    model = load(settings["cgdetr"], own)
    video, text = tensors["in.cg_vid"], tensors["in.cg_txt"]
    valid = [torch.ones(rows.shape[:2], dtype=torch.bool) for rows in (video, text)]
    state = tensors["out.task_hidden.temporal"][:, 0]
    outputs = model(video, valid[0], text, valid[1], state)
    equal(outputs.predictions[-1].logits, tensors["out.cg_logits"])
    equal(outputs.predictions[-1].spans, tensors["out.cg_spans"])
    equal(outputs.saliency, tensors["out.cg_saliency"])


# ---- criterion


def criterion(golden: Run, case: str) -> dict[str, Tensor]:
    moments = golden.model.moments(golden.outputs.inputs, golden.targets.relevant)
    return set_criterion(
        golden.outputs,
        moments,
        golden.targets,
        prompts=golden.model.global_rep_token,
        negatives=golden.negatives(case),
    )


def test_weights_are_upstreams(golden: Run) -> None:
    for name, weight in golden.settings["weight_dict"].items():
        assert WEIGHTS[name.removeprefix("loss_").rstrip("_0123456789")] == weight


@pytest.mark.parametrize("case", CASES)
def test_assignment(golden: Run, case: str) -> None:
    matching = match(golden.outputs.predictions[-1], golden.targets.spans, golden.targets.real)
    expected = golden.settings["matcher"][case]
    found = [
        [side[matching.samples == sample].tolist() for side in (matching.queries, matching.spans)]
        for sample in range(len(expected))
    ]
    assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_every_loss_and_the_total(golden: Run, case: str) -> None:
    expected = dict(golden.settings["losses"][case])
    total, contribution = (
        expected.pop("weighted_total"),
        expected.pop("contribution_to_llm_loss(x0.05)"),
    )
    terms = criterion(golden, case)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert terms[name].item() == about(value), name
    assert weighted_total(terms).item() == about(total)
    assert TOTAL_WEIGHT * weighted_total(terms).item() == pytest.approx(contribution, abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_gradients(golden: Run, case: str) -> None:
    loss = TOTAL_WEIGHT * weighted_total(criterion(golden, case))
    prefix = f"grad.{case}."
    names = [name.removeprefix(prefix) for name in golden.tensors if name.startswith(prefix)]
    assert names
    parameters = [golden.model.get_parameter(name) for name in names]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    by_parameter = {id(p): g for p, g in zip(trained, found, strict=True)}
    for name, parameter in zip(names, parameters, strict=True):
        gradient = by_parameter.get(id(parameter))
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        torch.testing.assert_close(
            gradient,
            golden.tensors[prefix + name],
            **EXACT,
            msg=lambda text, n=name: f"{n}: {text}",
        )


# ---- the head's accounting against upstream's


def alone(golden: Run, sample: int) -> tuple[tuple[Tensor, ...], SetTargets]:
    """Cut one sample out of a batch, without its padding."""
    video, video_valid, text, text_valid, prompt = (
        rows[sample : sample + 1] for rows in inputs_of(golden.tensors)
    )
    clips, words = int(video_valid.sum()), int(text_valid.sum())
    targets, spans = golden.targets, int(golden.targets.real[sample].sum())
    return (
        (video[:, :clips], video_valid[:, :clips], text[:, :words], text_valid[:, :words], prompt),
        SetTargets(
            spans=targets.spans[sample : sample + 1, :spans],
            real=targets.real[sample : sample + 1, :spans],
            labels=targets.labels[sample : sample + 1, :clips],
            pairs=targets.pairs[sample : sample + 1, :clips, :clips],
        ),
    )


def by_slot(model: CGDETR, outputs: CGDETROutputs, targets: SetTargets) -> dict[str, Tensor]:
    moments = model.moments(outputs.inputs, targets.relevant)
    return slot_losses(outputs, moments, targets, prompts=model.global_rep_token)


def counts(targets: SetTargets, queries: int) -> dict[str, int]:
    matched = int(targets.real.sum(1).clamp(max=queries).sum())
    return dict.fromkeys(WEIGHTS, len(targets.real)) | {"span": matched, "giou": matched}


def contribution(terms: Mapping[str, Tensor], items: Mapping[str, int]) -> float:
    """Weigh sums and counts as the engine does with the head's weights."""
    parts = [TOTAL_WEIGHT * WEIGHTS[name] * terms[name] / items[name] for name in WEIGHTS]
    return torch.stack(parts).sum().item()


def test_terms_of_single_slots_are_upstreams_in_any_batch(golden: Run) -> None:
    """Where upstream does not couple samples, the global mean is its mean."""
    terms = by_slot(golden.model, golden.outputs, golden.targets)
    items = counts(golden.targets, golden.model.settings.num_queries)
    expected = golden.settings["losses"]["no_negatives"]
    layers = ["", *(f"_{number}" for number in range(len(golden.outputs.predictions) - 1))]
    for name in ("span", "giou", "label"):
        wanted = sum(expected[f"loss_{name}{layer}"] for layer in layers)
        assert (terms[name] / items[name]).item() == about(wanted), name
    share = terms["orthogonal_dummy"] / items["orthogonal_dummy"]
    assert share.item() == about(expected["loss_orthogonal_dummy"])


def test_a_slots_loss_is_upstreams_of_a_batch_of_one(golden: Run) -> None:
    model = load(golden.settings["config"], golden.tensors)
    for sample in range(len(golden.settings["vids"])):
        inputs, targets = alone(golden, sample)
        outputs = model(*inputs)
        moments = model.moments(outputs.inputs, targets.relevant)
        terms = set_criterion(outputs, moments, targets, prompts=model.global_rep_token)
        ours = contribution(
            by_slot(model, outputs, targets), counts(targets, model.settings.num_queries)
        )
        assert ours == pytest.approx(TOTAL_WEIGHT * weighted_total(terms).item(), abs=1e-5)
        if len(golden.settings["vids"]) == 1:
            known = golden.settings["losses"]["no_negatives"]["contribution_to_llm_loss(x0.05)"]
            assert ours == pytest.approx(known, abs=1e-5)


def test_a_padded_batchs_loss_is_the_sum_of_its_slots(golden: Run) -> None:
    model = load(golden.settings["config"], golden.tensors)
    whole = by_slot(model, model(*inputs_of(golden.tensors)), golden.targets)
    parts: Sequence[dict[str, Tensor]] = [
        by_slot(model, model(*inputs), targets)
        for inputs, targets in (
            alone(golden, sample) for sample in range(len(golden.settings["vids"]))
        )
    ]
    for name, total in whole.items():
        summed = torch.stack([part[name] for part in parts]).sum()
        assert summed.item() == about(total.item()), name


# ---- post-processing


@pytest.fixture(params=POSTPROCESS, ids=lambda path: path.stem)
def postprocess(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return loaded


def test_ranked_seconds_and_whole_clips_are_exact(postprocess: dict[str, Any]) -> None:
    for case in postprocess["postprocess"]:
        duration = torch.tensor([case["duration"]])
        windows = to_windows(
            torch.tensor([case["pred_spans_cxw"]]), torch.tensor([case["fg_prob"]]), duration
        )
        ranked = rank_windows(windows)
        rounded = round_to_clips(ranked, torch.ones(1))
        for found, expected in ((ranked, case["ranked"]), (rounded, case["post"])):
            assert [[round(value, 4) for value in row] for row in found[0].tolist()] == expected


def test_iou_of_spans(postprocess: dict[str, Any]) -> None:
    a, b = (torch.tensor(postprocess[name]) for name in ("spans_a", "spans_b"))
    equal(span_iou(a[:, None], b), torch.tensor(postprocess["iou"]))
    equal(span_giou(a[:, None], b), torch.tensor(postprocess["giou"]))
