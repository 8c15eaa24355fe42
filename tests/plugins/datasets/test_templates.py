"""Templates of questions and answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tpo_core.errors import UnknownName
from tpo_core.records.markers import find_markers
from tpo_core.records.targets import CORE_PROMPTS, CORE_TARGETS
from tpo_plugins.datasets.templates import conversation, phrase, template_tasks, templates

# By task: the fields to fill in, the mark in the question, and the mark in the answer.
TASKS = {
    "temporal": ({"query"}, [], ["temporal"]),
    "temporal_question": ({"query"}, [], ["temporal"]),
    "saliency": ({"query"}, [], ["temporal"]),
    "region": ({"query"}, [], ["region"]),
    "segmentation": ({"query"}, [], ["mask"]),
    "tracking": (set(), ["region"], ["mask"]),
    "captioning": ({"caption"}, [], []),
    "segment_captioning": ({"caption", "start", "end"}, [], []),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_at_least_five_with_its_fields_and_marks(task):
    fields, asked, answered = TASKS[task]
    found = templates(task)
    assert len({template.question for template in found}) == len(found) >= 5
    for template in found:
        assert template.fields == fields
        assert find_markers(template.question, tasks=CORE_PROMPTS) == asked
        assert find_markers(template.answer, tasks=CORE_TARGETS) == answered


def test_every_file_is_of_a_task_that_is_tested_here():
    assert set(template_tasks()) == set(TASKS)


def test_a_name_decides_and_all_are_used():
    names = [f"set/train/{number}#0" for number in range(600)]
    asked = [conversation("temporal", name, query="q")[0].content for name in names]
    assert asked == [conversation("temporal", name, query="q")[0].content for name in names]
    counts = Counter(asked)
    assert len(counts) == len(templates("temporal"))
    assert min(counts.values()) > 60


def test_another_process_chooses_the_same():
    code = (
        "from tpo_plugins.datasets.templates import conversation\n"
        "print(*(conversation('region', str(n), query='q')[0].content for n in range(50)), sep='|')"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    here = [conversation("region", str(n), query="q")[0].content for n in range(50)]
    assert done.stdout.strip().split("|") == here


def test_an_unknown_task_is_named():
    with pytest.raises(UnknownName, match="unknown template task 'temporl'; did you mean"):
        conversation("temporl", "a")


def test_braces_in_a_label_are_text():
    question, _ = conversation("region", "a", query="the {red} one")
    assert "the {red} one" in question.content


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" A man  juggles.\n", "A man juggles"), ("Who?", "Who?"), ("he stops...", "he stops")],
)
def test_a_phrase_is_one_line_without_a_full_stop(text, expected):
    assert phrase(text) == expected
