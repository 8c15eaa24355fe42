"""The benchmarks that ship with the package: what each is, and where it lives.

This module is imported whenever plugins are listed: specs only, no benchmark, no torch.
"""

from __future__ import annotations

from tpo_core.specs import BenchmarkSpec

OWN = (
    BenchmarkSpec(
        name="tiny_world",
        target="tpo_plugins.benchmarks.tiny_world:TinyWorld",
        metrics=("qa_accuracy", "region_acc@0.5", "temporal_r1@0.5", "temporal_r1@0.7", "mask_j&f"),
        summary="the embedded world's test split: boxes, moments, masks and short answers",
    ),
)

_CHARADES_STA = ("r1@0.3", "r1@0.5", "r1@0.7", "miou")
_QVHIGHLIGHTS = (
    "map",
    "map@0.5",
    "map@0.75",
    "map_short",
    "map_middle",
    "map_long",
    "r1@0.5",
    "r1@0.7",
    "hl_map",
    "hl_hit@1",
)
_EGO4D_NLQ = ("r1@0.3", "r1@0.5", "r5@0.3", "r5@0.5", "miou")

MOMENTS: tuple[BenchmarkSpec, ...] = (
    BenchmarkSpec(
        name="charades_sta",
        target="tpo_plugins.benchmarks.charades_sta:CharadesSta",
        metrics=_CHARADES_STA,
        summary="moments of everyday activities, zero-shot (Charades-STA, test)",
    ),
    BenchmarkSpec(
        name="charades_sta_finetuned",
        target="tpo_plugins.benchmarks.charades_sta:CharadesStaFinetuned",
        metrics=_CHARADES_STA,
        summary="moments of everyday activities, after training on its own split (Charades-STA)",
    ),
    BenchmarkSpec(
        name="qvhighlights",
        target="tpo_plugins.benchmarks.qvhighlights:QVHighlights",
        metrics=_QVHIGHLIGHTS,
        summary="every moment about a query and the best clips (QVHighlights, val)",
    ),
    BenchmarkSpec(
        name="qvhighlights_test",
        target="tpo_plugins.benchmarks.qvhighlights:QVHighlightsTest",
        metrics=_QVHIGHLIGHTS,
        summary="QVHighlights' test split: figures where it has labels, an export for its server",
    ),
    BenchmarkSpec(
        name="nextgqa",
        target="tpo_plugins.benchmarks.nextgqa:NextGqa",
        metrics=(
            "acc_gqa",
            "acc_qa",
            "miop",
            "iop@0.3",
            "iop@0.5",
            "miou",
            "iou@0.3",
            "iou@0.5",
        ),
        summary="multiple choice, and the moment that shows the answer (NExT-GQA, test)",
    ),
    BenchmarkSpec(
        name="ego4d_nlq",
        target="tpo_plugins.benchmarks.ego4d_nlq:Ego4dNlq",
        metrics=_EGO4D_NLQ,
        summary="when a long egocentric clip answers a question (Ego4D NLQ, val)",
    ),
    BenchmarkSpec(
        name="ego4d_nlq_test",
        target="tpo_plugins.benchmarks.ego4d_nlq:Ego4dNlqTest",
        metrics=_EGO4D_NLQ,
        summary="Ego4D NLQ's test split, whose labels are not public: an export for its server",
    ),
)

BOXES: tuple[BenchmarkSpec, ...] = (
    BenchmarkSpec(
        name="refcoco",
        target="tpo_plugins.benchmarks.refcoco:Refcoco",
        metrics=("val_acc@0.5", "testA_acc@0.5", "testB_acc@0.5"),
        summary="the box of the object that a short phrase describes",
    ),
    BenchmarkSpec(
        name="refcoco_plus",
        target="tpo_plugins.benchmarks.refcoco:RefcocoPlus",
        metrics=("val_acc@0.5", "testA_acc@0.5", "testB_acc@0.5"),
        summary="RefCOCO+: the same with phrases that say nothing of places",
    ),
    BenchmarkSpec(
        name="refcocog",
        target="tpo_plugins.benchmarks.refcoco:Refcocog",
        metrics=("val_acc@0.5", "test_acc@0.5"),
        summary="RefCOCOg: the same with whole sentences",
    ),
    BenchmarkSpec(
        name="lasot",
        target="tpo_plugins.benchmarks.lasot:Lasot",
        metrics=("success_auc", "normalised_precision@0.2", "precision@20", "op50", "op75"),
        summary="one object followed through long videos from its first box, one pass",
    ),
    BenchmarkSpec(
        name="got10k",
        target="tpo_plugins.benchmarks.got10k:Got10k",
        metrics=("ao", "sr@0.5", "sr@0.75"),
        summary="the same through short videos; validation split",
    ),
    BenchmarkSpec(
        name="got10k_test",
        target="tpo_plugins.benchmarks.got10k:Got10kTest",
        metrics=("ao", "sr@0.5", "sr@0.75"),
        summary="GOT-10k's test split, whose labels are not public: an export for its server",
    ),
)

MASKS = (
    BenchmarkSpec(
        name="mevis",
        target="tpo_plugins.benchmarks.mevis:Mevis",
        metrics=("j&f", "j", "f"),
        summary="masks of what expressions about motion mean: MeViS valid_u",
    ),
    BenchmarkSpec(
        name="mevis_valid",
        target="tpo_plugins.benchmarks.mevis:MevisValid",
        metrics=("j&f", "j", "f"),
        summary="MeViS valid: masks for its server, which alone scores them",
    ),
    BenchmarkSpec(
        name="ref_davis17",
        target="tpo_plugins.benchmarks.ref_davis17:RefDavis17",
        metrics=("j&f", "j", "f"),
        summary="masks of the objects of DAVIS 2017 val by the expressions of two annotators",
    ),
    BenchmarkSpec(
        name="ref_youtube_vos",
        target="tpo_plugins.benchmarks.ref_youtube_vos:RefYoutubeVos",
        metrics=("j&f", "j", "f"),
        summary="Ref-YouTube-VOS valid: masks for its server, which alone scores them",
    ),
    BenchmarkSpec(
        name="ref_youtube_vos_train",
        target="tpo_plugins.benchmarks.ref_youtube_vos:RefYoutubeVosTrain",
        metrics=("j&f", "j", "f"),
        summary="masks of what expressions mean: Ref-YouTube-VOS train, whose masks are released",
    ),
)

CHOICES = (
    BenchmarkSpec(
        name="mvbench",
        target="tpo_plugins.benchmarks.mvbench:Mvbench",
        metrics=("accuracy",),
        summary="multiple choice: twenty tasks about short videos (MVBench)",
    ),
    BenchmarkSpec(
        name="videomme",
        target="tpo_plugins.benchmarks.videomme:Videomme",
        metrics=("overall", "short", "medium", "long"),
        summary="multiple choice about videos of seconds to an hour (Video-MME), frames alone",
    ),
    BenchmarkSpec(
        name="videomme_subtitles",
        target="tpo_plugins.benchmarks.videomme:VideommeSubtitles",
        metrics=("overall", "short", "medium", "long"),
        summary="the same with the subtitles at the frames looked at",
    ),
    BenchmarkSpec(
        name="mlvu",
        target="tpo_plugins.benchmarks.mlvu:Mlvu",
        metrics=("m_avg",),
        summary="multiple choice: seven tasks about long videos (MLVU, dev)",
    ),
    BenchmarkSpec(
        name="mmiu",
        target="tpo_plugins.benchmarks.mmiu:Mmiu",
        metrics=("accuracy",),
        summary="multiple choice: 52 tasks about several pictures at once (MMIU)",
    ),
    BenchmarkSpec(
        name="seed_bench2",
        target="tpo_plugins.benchmarks.seed_bench2:SeedBench2",
        metrics=("accuracy_i", "accuracy_m"),
        summary="multiple choice about one picture (I) or several (M) (SEED-Bench-2)",
    ),
)

BENCHMARKS = (*OWN, *MOMENTS, *BOXES, *MASKS, *CHOICES)
