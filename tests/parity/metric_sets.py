"""What our metrics make of the inputs of a golden set, in the shape of the set's `expected`.

One function for each kind of set, named as the files begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tpo_core.errors import InputError
from tpo_core.evaluation.metrics.box_text import box_text_accuracy
from tpo_core.evaluation.metrics.choice_scores import AVERAGING, ChoiceScores, choice_scores
from tpo_core.evaluation.metrics.choices import (
    gold_option,
    mlvu_correct,
    mmiu_choice,
    mmiu_cleaned,
    mmiu_correct,
    mvbench_correct,
    options_prompt,
    seed_bench_choice,
    videomme_choice,
)
from tpo_core.evaluation.metrics.contours import boundary
from tpo_core.evaluation.metrics.davis import DavisFigures, DavisSequence, davis_scores
from tpo_core.evaluation.metrics.expressions import Expression, expression_scores
from tpo_core.evaluation.metrics.got10k import (
    Got10kSequence,
    clipped_iou,
    got10k_scores,
    sequence_iou,
)
from tpo_core.evaluation.metrics.grounded_qa import (
    TYPE_NAMES,
    grounded_qa,
    overlap_of,
    qa_by_type,
    span_of_fractions,
)
from tpo_core.evaluation.metrics.lasot import lasot_curves, lasot_scores
from tpo_core.evaluation.metrics.lasot_frames import LasotSequence, frame_errors
from tpo_core.evaluation.metrics.masks import boundary_measure, boundary_radius, region_similarity
from tpo_core.evaluation.metrics.moment_map import average_precision
from tpo_core.evaluation.metrics.moments import first_span_iou, recall_at_1
from tpo_core.evaluation.metrics.mvbench_frames import mvbench_frames
from tpo_core.evaluation.metrics.qvhighlights import R1_THRESHOLDS, moment_map, qvhighlights_report
from tpo_core.evaluation.metrics.span_text import parse_span
from tpo_core.evaluation.metrics.tracking import as_boxes
from tpo_core.records.rle import run_lengths

Tree = Any


def qvhighlights(inputs: Tree, data: Tree) -> Tree:
    said, truth = inputs["predictions"], inputs["ground_truth"]
    windows = {row["qid"]: row["relevant_windows"] for row in truth}
    ap = average_precision(
        [row["pred_relevant_windows"] for row in said], [windows[row["qid"]] for row in said]
    )
    emptied = [{**row, "pred_relevant_windows": []} for row in said[:2]] + said[2:]
    try:
        qvhighlights_report(emptied, truth)
        raised = "nothing"
    except InputError:
        raised = "IndexError"  # what the official code does with an empty list
    return {
        "full_report": qvhighlights_report(said, truth),
        "per_query_ap": {str(row["qid"]): ap[i] for i, row in enumerate(said)},
        "tpo_variant_report": qvhighlights_report(said, truth, variant="tpo"),
        "map_with_two_empty_queries": moment_map(emptied, truth),
        "r1_with_empty_query_raises": raised,
        "report_without_first_five_predictions": qvhighlights_report(
            said[5:], truth, match_ids=False
        ),
    }


def charades_sta(inputs: Tree, data: Tree) -> Tree:
    rows = inputs["rows"]
    lines = [line.split("##")[0].split() for line in inputs["annotation_txt"].splitlines()]
    truth = [[(float(start), float(end))] for _, start, end in lines]
    said = [[row["pred"]] for row in rows]
    partly = [[] if row["qid"] % 8 == 6 else [row["pred"]] for row in rows]

    def recall(said: Tree, variant: Any) -> Tree:
        figures = recall_at_1(said, truth, thresholds=(0.3, 0.5, 0.7), variant=variant)
        r1 = {f"R1@{level}": 100 * figures[f"r1@{level}"] for level in ("0.3", "0.5", "0.7")}
        return {**r1, "mIoU": 100 * figures["miou"]}

    tpo = recall_at_1(said, truth, thresholds=R1_THRESHOLDS["tpo"], variant="tpo")
    spans = map(parse_span, inputs["answers"])
    return {
        "iou": first_span_iou(said, truth),
        "mean_iou_percent": 100 * tpo["miou"],
        "inclusive": recall(said, "videochat-flash"),
        "inclusive_by": {name: recall(said, name.lower()) for name in ("TimeChat", "TALL")},
        "tpo": {
            "R1": {str(x): round(100 * tpo[f"r1@{x:g}"], 2) for x in R1_THRESHOLDS["tpo"]},
            "mIoU": round(100 * tpo["miou"], 2),
        },
        "with_empty": recall(partly, "tpo"),
        "strict_2dtan": recall(said, "2d-tan"),
        "text_parsing": [[] if span is None else [list(span)] for span in spans],
    }


def nextgqa(inputs: Tree, data: Tree) -> Tree:
    videos = inputs["gsub"].items()
    truth = {f"{v}_{q}": w for v, row in videos for q, w in row["location"].items()}
    durations = {f"{v}_{q}": row["duration"] for v, row in videos for q in row["location"]}
    correct = {key: qa["prediction"] == qa["answer"] for key, qa in inputs["pred_qa"].items()}
    spans, fractions = inputs["pred_ground"], inputs["pred_ground_fraction"]
    first = {key: truth[key] for key in list(spans)[:15]}
    of_fractions = {key: span_of_fractions(span, durations[key]) for key, span in fractions.items()}

    def figures(spans: Tree, truth: Tree) -> Tree:
        found = grounded_qa(spans, truth, correct)
        shown = {
            "Acc@GQA": 100 * found.acc_gqa,
            "mIoP": 100 * found.miop,
            "IoP@0.3": 100 * found.iop[0.3],
            "IoP@0.5": 100 * found.iop[0.5],
            "mIoU": 100 * found.miou,
            "IoU@0.3": 100 * found.iou[0.3],
            "IoU@0.5": 100 * found.iou[0.5],
        }
        line = "{:.1f} \t {:.1f}\t {:.1f}\t {:.1f} \t {:.1f} \t {:.1f} \t {:.1f}"
        names = {"cqt": "gqa", "IoP3": "iop@0.3", "IoP5": "iop@0.5"}
        names |= {"IoU3": "iou@0.3", "IoU5": "iou@0.5"}
        hits = {name: found.hits[ours] for name, ours in names.items()}
        printed = line.format(*shown.values())
        return {"count": found.count, **shown, "hits": hits, "printed_line": printed}

    types = {f"{row['video_id']}_{row['qid']}": row["type"] for row in inputs["csv_rows"]}
    counts = qa_by_type(types, correct)
    right, asked = counts["all"]
    there = {name: counts[name] for name in TYPE_NAMES if counts[name][1]}
    return {
        "full": figures(spans, truth),
        "without_one_prediction": figures(
            {key: span for key, span in spans.items() if key != inputs["removed_key"]}, truth
        ),
        "first_15_subset": figures(spans, first),
        "gaussian_mode": figures(of_fractions, truth),
        "pairs": [
            {"key": key, "window": window, "span": spans[key], "IoU": iou, "IoP": iop}
            for key, windows in truth.items()
            for window in windows
            for iou, iop in [overlap_of(window, spans[key])]
        ],
        "qa": {
            "per_type_correct": {name: counts[name][0] for name in TYPE_NAMES},
            "per_type_count": {name: counts[name][1] for name in TYPE_NAMES},
            "Acc@QA": 100 * right / asked,
            "printed": [
                "".join(f"{TYPE_NAMES[name]}\t" for name in there),
                "".join(f"{100 * part / whole:.2f}\t" for part, whole in there.values()),
                f"Acc: {100 * right / asked:.2f}",
            ],
        },
    }


def refcoco_rec(inputs: Tree, data: Tree) -> Tree:
    truth = [row["bbox"] for row in inputs]
    sizes = [(row["width"], row["height"]) for row in inputs]

    def scores(dialect: Any, field: str) -> Any:
        return box_text_accuracy([row[field] for row in inputs], truth, sizes, dialect=dialect)

    def figures(found: Any) -> Tree:
        return {
            "correct": int(found.hits.sum()),
            "total": len(found.hits),
            "accuracy_percent": 100 * found.accuracy,
            "boxes": found.boxes,
            "iou": found.iou,
        }

    asmv2 = scores("asmv2", "answer_asmv2")
    lmms = scores("lmms-eval", "answer_fraction")
    percent = f"{100 * asmv2.accuracy:.2f}"
    return {
        "internvl": figures(scores("internvl", "answer_internvl")),
        "qwen": figures(scores("qwen-vl", "answer_qwen")),
        "asmv2_printed": f"Category: c, # samples: {len(inputs)}, # Acc@0.5: {percent}",
        "lmms_eval": [
            {"pred": box, "iou": iou, "acc": bool(hit)}
            for box, iou, hit in zip(lmms.boxes, lmms.iou, lmms.hits, strict=True)
        ],
    }


def got10k(inputs: Tree, data: Tree) -> Tree:
    sequences = [
        Got10kSequence(
            name=row["name"],
            truth=row["groundtruth"],
            predictions=[row["prediction"]],
            cover=row["cover"],
            size=tuple(row["resolution"]),
        )
        for row in inputs
    ]
    total, each = got10k_scores(sequences)

    def unclipped(sequence: Got10kSequence) -> Any:
        boxes, truth = (as_boxes(r, what="") for r in (sequence.predictions[0], sequence.truth))
        return clipped_iou(boxes[1:], truth[1:], size=None)

    return {
        "AO": total.ao,
        "SR0.5": total.sr50,
        "SR0.5_from_curve": total.curve[50],
        "SR0.75_from_curve": total.sr75,
        "success_curve_101": total.curve,
        "per_sequence": {
            name: {"ao": found.ao, "sr": found.sr50, "length": found.length}
            for name, found in each.items()
        },
        "frame_iou_from_second_frame": {s.name: sequence_iou(s)[0] for s in sequences},
        "frames_counted": total.frames,
        "frame_iou_unclipped": {s.name: unclipped(s) for s in sequences},
    }


def lasot(inputs: Tree, data: Tree) -> Tree:
    sequences = [
        LasotSequence(
            name=row["name"],
            truth=row["groundtruth"],
            prediction=row["prediction"],
            absent=np.array(row["full_occlusion"], bool) | np.array(row["out_of_view"], bool),
        )
        for row in inputs
    ]

    def pytracking(*, valid_frames_only: bool) -> Tree:
        curves = lasot_curves(
            sequences, variant="pytracking", valid_frames_only=valid_frames_only
        )  # fmt: skip
        found = lasot_scores(curves, variant="pytracking")
        auc = dict(zip(curves.names, 100 * curves.success.mean(1), strict=True))
        return {
            "success_AUC": 100 * found.auc,
            "OP50": 100 * found.op50,
            "OP75": 100 * found.op75,
            "precision_20px": 100 * found.precision,
            "norm_precision_0_2": 100 * found.normalised_precision,
            "success_curve": 100 * found.success_curve,
            "precision_curve": 100 * found.precision_curve,
            "norm_precision_curve": 100 * found.normalised_precision_curve,
            "per_sequence_AUC": auc,
            "avg_overlap": curves.overlap,
        }

    def frames(sequence: LasotSequence) -> Tree:
        errors = frame_errors(sequence, variant="pytracking")
        return {
            "overlap": errors.overlap,
            "center": errors.centre,
            "center_normalised": errors.normalised,
            "valid": errors.valid.tolist(),
        }

    curves = lasot_curves(sequences, variant="matlab")
    matlab = lasot_scores(curves, variant="matlab")
    toolkit = lasot_scores(lasot_curves(sequences, variant="got10k"), variant="got10k")
    official = {
        "success_AUC": matlab.auc,
        "precision_20px": matlab.precision,
        "norm_precision_0_2": matlab.normalised_precision,
    }
    return {
        "pytracking": pytracking(valid_frames_only=False),
        "pytracking_exclude_invalid_frames": pytracking(valid_frames_only=True),
        "pytracking_frames": {s.name: frames(s) for s in sequences},
        "official_matlab": {
            **{name: 100 * value for name, value in official.items()},
            "printed": {name: f"{value:.3f}" for name, value in official.items()},
            "per_sequence_success_curve": dict(zip(curves.names, curves.success, strict=True)),
            "per_sequence_precision_curve": dict(zip(curves.names, curves.precision, strict=True)),
            "per_sequence_norm_precision_curve": dict(
                zip(curves.names, curves.normalised_precision, strict=True)
            ),
        },
        "got10k_toolkit": {
            "success_score": toolkit.auc,
            "precision_score": toolkit.precision,
            "normalized_precision_score": toolkit.normalised_precision,
            "success_rate": toolkit.op50,
            "success_curve": toolkit.success_curve,
            "precision_curve": toolkit.precision_curve,
            "normalized_precision_curve": toolkit.normalised_precision_curve,
        },
    }


def jf_pairs(inputs: Tree, data: Tree) -> Tree:
    def one(row: Tree) -> Tree:
        said, truth = mask(row["pred"]), mask(row["gt"])
        void = mask(row["void"]) if "void" in row else None
        assert boundary_radius(truth.shape) == row["bound_pix"]
        return {
            "J": region_similarity(said, truth, void=void),
            "F": boundary_measure(said, truth, void=void),
            "gt_boundary_pixels": int(boundary(truth).sum()),
        }

    return [one(row) for row in inputs]


def mevis(inputs: Tree, data: Tree) -> Tree:
    def expressions() -> Iterator[Expression]:
        for video, row in inputs["meta_expressions"]["videos"].items():
            for number, expression in row["expressions"].items():
                said = inputs["predictions"].get(video)
                predicted = None if said is None else np.stack([mask(r) for r in said[number]])
                tracks = [inputs["mask_dict"][str(each)] for each in expression["anno_id"]]
                # As the script has it, which needs no mask of a video without results.
                empty = np.zeros((1, 1) if predicted is None else predicted.shape[1:], bool)
                truth = [
                    [empty if rle is None or predicted is None else mask(rle) for rle in track]
                    for track in tracks
                ]
                yield Expression(
                    name=f"{video}_{number}", truth=np.any(truth, axis=0), predicted=predicted
                )

    found = expression_scores(expressions())
    return {"per_expression": found.each, "J": found.j, "F": found.f, "J&F": found.jf}


def davis17(inputs: Tree, data: Tree) -> Tree:
    def labels(frames: Tree) -> Any:
        return np.stack(
            [np.repeat(f["runs"][::2], f["runs"][1::2]).reshape(f["size"]) for f in frames]
        )

    def names(figures: DavisFigures) -> Tree:
        values = {"J": figures.j, "F": figures.f}
        values |= {"J_recall": figures.j_recall, "J_decay": figures.j_decay}
        return values | {"F_recall": figures.f_recall, "F_decay": figures.f_decay}

    def task(name: Any) -> Tree:
        sequences = (
            DavisSequence(name=key, truth=labels(row["gt"]), predicted=labels(row["pred"]))
            for key, row in inputs.items()
        )
        mean, each = davis_scores(sequences, task=name)
        return {
            "J&F-Mean": mean.jf,
            "J-Mean": mean.j,
            "J-Recall": mean.j_recall,
            "J-Decay": mean.j_decay,
            "F-Mean": mean.f,
            "F-Recall": mean.f_recall,
            "F-Decay": mean.f_decay,
            "per_object": {key: names(figures) for key, figures in each.items()},
        }

    return {name: task(name) for name in ("semi-supervised", "unsupervised")}


def mcq_parsing(inputs: Tree, data: Tree) -> Tree:
    def one(row: Tree) -> Tree:
        said, gold = row["pred"], gold_option(row["candidates"], row["answer"])
        choice = mmiu_choice(said)
        # The set calls no model, and knows no "Z" for an empty output.
        single = choice is not None and choice != "Z"
        return {
            "prompt": options_prompt(row["question"], row["candidates"]),
            "gold_string": gold,
            "mvbench_correct": mvbench_correct(said, gold),
            "mlvu_correct": mlvu_correct(said, gold),
            "videomme_extracted": videomme_choice(said),
            "seed2_lmms_pred": seed_bench_choice(said),
            "mmiu_cleaned": mmiu_cleaned(said),
            "mmiu_is_single_letter": single,
            "mmiu_correct": mmiu_correct(choice, row["gold_letter"]) if choice and single else None,
        }

    rows = [one(row) for row in inputs["rows"]]

    def summary(field: str, benchmark: str) -> Tree:
        pairs = zip(inputs["rows"], rows, strict=True)
        group = "task_type" if benchmark == "mvbench" else "mlvu_task"
        found = choice_scores(
            [(row[group], verdict[field]) for row, verdict in pairs],
            averaging=AVERAGING[benchmark],
        )
        figures = {name: 100 * count.accuracy for name, count in found.groups.items()}
        return {**figures, "Avg": 100 * found.average}

    verdicts = []
    for video in inputs["videomme_items"]:
        for question in [] if video["missing"] else video["questions"]:
            letter = videomme_choice(question["response"])
            verdicts.append((video["duration"], letter == question["answer"] if letter else None))
    found: ChoiceScores = choice_scores(verdicts, averaging=AVERAGING["video-mme"])
    counts = {**found.groups, "all": found.overall}
    return {
        "rows": rows,
        "mvbench_summary": summary("mvbench_correct", "mvbench"),
        "mlvu_summary": summary("mlvu_correct", "mlvu"),
        "videomme": {
            "counts": {
                **{k: {"correct": c.correct, "answered": c.answered} for k, c in counts.items()},
                "all_questions_kept": len(verdicts),
            },
            "overall_lines": [
                line
                for count in counts.values()
                for line in ("Overall Performance", f"Overall: {100 * count.accuracy: .1f}%")
            ],
        },
        "mvbench_frame_index": [
            {
                **asked,
                "frames": mvbench_frames(
                    asked["bound"],
                    fps=asked["fps"],
                    last=asked["max_frame"],
                    segments=asked["num_segments"],
                    first=asked["first_idx"],
                ),
            }
            for asked in data["expected"]["mvbench_frame_index"]
        ],
    }


def mask(rle: Tree) -> Any:
    """Decode a COCO RLE, compressed or not."""
    height, width = rle["size"]
    runs = run_lengths(rle["counts"])
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


HANDLERS: dict[str, Callable[[Tree, Tree], Tree]] = {
    function.__name__: function
    for function in (
        qvhighlights,
        charades_sta,
        nextgqa,
        refcoco_rec,
        got10k,
        lasot,
        jf_pairs,
        mevis,
        davis17,
        mcq_parsing,
    )
}
