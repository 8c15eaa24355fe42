"""Conversations: releases in the exact layouts, with every quirk that they are known for."""

from __future__ import annotations

from tests.plugins.datasets.cases import Release
from tpo_plugins.datasets import llava as turns
from tpo_plugins.datasets import llava_hound_dpo, sharegpt4o, sharegpt4v, temporal, videochat2_it


def said(*texts: str, first: str = "human") -> list[dict[str, str]]:
    """Return a conversation in LLaVA's layout."""
    roles = ["human", "gpt"] if first == "human" else ["gpt", "human"]
    return [{"from": roles[i % 2], "value": text} for i, text in enumerate(texts)]


YOUCOOK2 = Release(
    name="youcook2",
    split="train",
    files={
        "youcookii_annotations_trainval.json": {
            "database": {
                "aaaaaaaaaaa": {
                    "duration": 120.5,
                    "subset": "training",
                    "recipe_type": "212",
                    "video_url": "https://www.youtube.com/watch?v=aaaaaaaaaaa",
                    "annotations": [
                        {"id": 0, "segment": [10, 30], "sentence": "chop the onion "},
                        {"id": 1, "segment": [100, 121], "sentence": "serve"},
                        {"id": 2, "segment": [30, 40], "sentence": ""},
                    ],
                },
                "bbbbbbbbbbb": {
                    "duration": 50,
                    "subset": "training",
                    "recipe_type": "101",
                    "annotations": [{"id": 0, "segment": [1, 2], "sentence": "stir"}],
                },
                "ccccccccccc": {"duration": 50, "subset": "training", "annotations": []},
                "ddddddddddd": {
                    "duration": 50,
                    "subset": "validation",
                    "recipe_type": "101",
                    "annotations": [{"id": 0, "segment": [1, 2], "sentence": "fry"}],
                },
            }
        },
        "raw_videos/training/212/aaaaaaaaaaa.mkv": None,
    },
    records={
        "youcook2/aaaaaaaaaaa": (
            "raw_videos/training/212/aaaaaaaaaaa.mkv",
            [[("10", "30"), "chop the onion"], [("100", "120.5"), "serve"]],
        ),
        "youcook2/bbbbbbbbbbb": (
            "raw_videos/training/101/bbbbbbbbbbb.mp4",
            [[("1", "2"), "stir"]],
        ),
    },
    quirks={temporal.CLIPPED: 1, temporal.WORDLESS: 1},
    errors=[("youcookii_annotations_trainval.json", 3, "ccccccccccc.recipe_type: Field required")],
)

CAPTION = "image/caption/coco"
CHAT = "video/conversation/videochat1"
VIDEOCHAT2 = Release(
    name="videochat2_it",
    split="train",
    files={
        f"{CAPTION}/train.json": [
            {"image": "a.jpg", "QA": [{"i": "Describe it.", "q": "", "a": "A cat."}]},
            {"image": "a.jpg", "QA": [{"q": "", "a": "A grey cat."}]},
            {"image": "b.jpg", "QA": [{"i": "", "q": "How many?", "a": "Two."}]},
            {"QA": [{"q": "What?", "a": "?"}]},
            {"image": "a.jpg", "QA": [{"q": "Again?", "a": " "}]},
        ],
        f"{CAPTION}/train_100k.json": "not read",
        f"{CHAT}/train.json": [
            {
                "video": "x/y.mp4",
                "QA": [
                    {"i": "Answer briefly.", "q": "Who?", "a": "A man."},
                    {"i": "Never used.", "q": "Where?", "a": "At home."},
                    {"q": "When?", "a": ""},
                ],
                "start": 3.0,
                "end": 9.5,
            }
        ],
        "coco/a.jpg": None,
        f"{CHAT}/x/y.mp4": None,
    },
    records={
        # Two rows about one picture that follow each other are branches of one record.
        f"videochat2_it/{CAPTION}/1": (
            "coco/a.jpg",
            [["Describe it.", "A cat."], [("?", "."), "A grey cat."]],
        ),
        f"videochat2_it/{CAPTION}/3": ("b.jpg", [["How many?", "Two."]]),
        f"videochat2_it/{CHAT}/1": (
            f"{CHAT}/x/y.mp4",
            [["From 3 to 9.5 seconds: Answer briefly. Who?", "A man.", "Where?", "At home."]],
        ),
    },
    quirks={
        videochat2_it.UNASKED: 1,
        videochat2_it.UNINSTRUCTED: 1,
        videochat2_it.UNANSWERED: 2,
        videochat2_it.CUT: 1,
    },
    errors=[
        ("train.json", 4, "[3].video: neither `video` nor `image` names a file"),
        ("train.json", 5, "[4].QA: no question has an answer"),
    ],
)

SHAREGPT4O = Release(
    name="sharegpt4o",
    split=None,
    files={
        "image_conversations/gpt-4o.jsonl": [
            {
                "id": 1,
                "image": "0b1.jpg",
                "width": 4,
                "height": 4,
                "conversations": said("<image>\nDescribe it.", "A boat."),
            },
            {"image": "images/0b2.jpg", "conversations": said("Describe it.\n<image>", "A car.")},
            '{"image": "0b3.jpg", "conversations": [',
            {"conversations": said("Hello?", "Hello!")},
        ],
        "video_conversations/gpt4o.jsonl": [
            {"video": "v1.mp4", "conversations": said("<video>\nWhat happens?", "It rains.")}
        ],
        "images/mnt/petrelfs/share/0b1.jpg": None,
        "images/0b2.jpg": None,
    },
    records={
        "sharegpt4o/image/1": (
            "images/mnt/petrelfs/share/0b1.jpg",
            [["Describe it.", "A boat."]],
        ),
        "sharegpt4o/image/2": ("images/0b2.jpg", [["Describe it.", "A car."]]),
        "sharegpt4o/image/4": (None, [["Hello?", "Hello!"]]),
        "sharegpt4o/video/1": ("v1.mp4", [["What happens?", "It rains."]]),
    },
    quirks={sharegpt4o.MOVED: 1, sharegpt4o.TEXT_ONLY: 1},
    errors=[("gpt-4o.jsonl", 3, "the row is not JSON")],
)

HOUND = Release(
    name="llava_hound_dpo",
    split=None,
    files={
        "video_240k_caption_15k.jsonl": [
            {"id": "v1_0", "video": "v1", "conversations": said("<video>\nWho?", "A man.")},
            {"id": "v2_0", "video": "v2", "conversations": said("Who?\n<video>", "A dog.")},
            {"id": "v1_1", "video": "v1", "conversations": said("<video> Where?", "Home.")},
        ],
        "sft_dpo_17k.jsonl": [
            {
                "id": "v1_3",
                "video": "v1",
                "prompt": "<video>\nWhat happens?",
                "answer": "He eats.",
                "chosen": "He eats.",
                "rejected": "He sleeps.",
                "chosen_score": 5,
            },
            {"id": "v1_4", "video": "v1", "prompt": "What?"},
        ],
        "train_300k/v1/c01_0001.jpeg": None,
    },
    records={
        "llava_hound_dpo/instruction/v1": (
            "train_300k/v1",
            [["Who?", "A man."], ["Where?", "Home."]],
        ),
        "llava_hound_dpo/instruction/v2": ("v2", [["Who?", "A dog."]]),
        "llava_hound_dpo/dpo/v1": ("train_300k/v1", [["What happens?", "He eats."]]),
    },
    quirks={llava_hound_dpo.REJECTED: 1},
    errors=[("sft_dpo_17k.jsonl", 2, "neither conversations nor a prompt with a chosen answer")],
)

COCO = "coco/train2017/000000000001.jpg"
SHAREGPT4V = Release(
    name="sharegpt4v",
    split="mix665k",
    files={
        "sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json": [
            {"id": "1", "image": COCO, "conversations": said("<image>\nWhat?", "A cup.")},
            {"id": "2", "conversations": said("Write a poem.", "Roses.", "More.", "Violets.")},
            {"id": "3", "conversations": said("Hi.", "Hello.", first="gpt")},
            {"id": "4", "image": COCO, "conversations": said("So?", "Yes.", "And?")},
            {"id": "5", "image": COCO, "conversations": said("So?", "Yes.", first="gpt")},
            {"id": "6", "image": COCO, "conversations": said("<image>", "Yes.")},
            {"id": "7", "image": COCO, "conversations": [{"from": "bot", "value": "?"}]},
            {
                "id": "8",
                "image": "sam/images/sa_1.jpg",
                "conversations": [
                    {"from": "human", "value": "One."},
                    {"from": "human", "value": "Two."},
                    {"from": "gpt", "value": "Three."},
                ],
            },
        ],
        f"data/{COCO}": None,
    },
    records={
        "sharegpt4v/mix665k/1": (f"data/{COCO}", [["What?", "A cup."]]),
        "sharegpt4v/mix665k/2": (None, [["Write a poem.", "Roses.", "More.", "Violets."]]),
        "sharegpt4v/mix665k/4": (f"data/{COCO}", [["So?", "Yes."]]),
    },
    quirks={sharegpt4v.TEXT_ONLY: 1, turns.UNASKED: 2, turns.UNANSWERED: 3},
    errors=[
        ("div2k.json", 3, "[2].conversations: the turns are gpt, human; expected human and gpt"),
        ("div2k.json", 5, "[4].conversations: the turns are gpt, human; expected human and gpt"),
        ("div2k.json", 6, "[5].conversations: a turn has no text"),
        ("div2k.json", 7, "[6].conversations.0.from"),
        ("div2k.json", 8, "the turns are human, human, gpt; expected human and gpt in turn"),
    ],
)

RELEASES = [YOUCOOK2, VIDEOCHAT2, SHAREGPT4O, HOUND, SHAREGPT4V]
