"""The kind of every question the world can ask is told from its words."""

from __future__ import annotations

import pytest

from tpo_plugins.benchmarks.kinds import kind_of
from tpo_plugins.world import scene_stream


@pytest.mark.parametrize("split", ["train", "test"])
def test_words_tell_the_kind_that_the_generator_meant(split):
    seen = set()
    for sample in scene_stream(3, split, stop=150, chat=6):
        for branch in sample.branches:
            tasks = [target["task"] for target in branch.targets]
            found = kind_of(branch.question, tasks=tasks, prompted=bool(branch.prompts))
            task = tasks[0] if tasks else "chat"
            meant = branch.kind.removeprefix("region_")
            assert found == f"{task}/{meant}", branch.question
            seen.add(found)
    assert len([kind for kind in seen if kind.startswith("chat/")]) == 16
    assert {kind for kind in seen if not kind.startswith("chat/")} == {
        "region/attributes",
        "region/relation",
        "region/pair",
        "temporal/appear",
        "temporal/move",
        "temporal/coloured",
        "mask/segment",
        "mask/track",
    }


def test_a_question_of_another_world_has_a_kind_too():
    assert kind_of("Who is she?", tasks=[], prompted=False) == "chat/other"
    assert kind_of("Point.", tasks=["point"], prompted=False) == "point/other"
