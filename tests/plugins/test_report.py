"""The report of a quickstart, from real media and an oracle's predictions."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from tests.plugins.report_run import STAGES, write_run
from tpo_core.errors import InputError
from tpo_plugins.report import write_report
from tpo_plugins.report.curves import stage_offsets, term_names
from tpo_plugins.report.samples import choose

BARS = {"region_acc@0.5": 0.8, "temporal_r1@0.5": 0.8, "temporal_r1@0.7": 0.6, "mask_j&f": 0.7}


class Page(HTMLParser):
    """Collects addresses, pictures and text."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.pictures, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, records=8)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page(write_report(folder, bars=BARS).read_text(encoding="utf-8"))


def test_the_page_needs_no_other_file(page):
    assert page.addresses
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)


def test_the_pictures_are_curves_boxes_moments_and_masks(page):
    sizes = []
    for address in page.pictures:
        with Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
            sizes.append(picture.size)
            low, high = picture.convert("L").getextrema()
            assert high - low > 60, "an empty picture"
    curves, *rest = sizes
    assert curves[0] > curves[1]
    squares = [size for size in rest if size[0] == size[1]]
    assert 1 < len(squares) < len(rest)


def test_the_table_holds_the_figures_and_says_what_was_reached(page, folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    for name, value in metrics["after"].items():
        row = re.search(rf"{re.escape(name)}(.*?)(reached|missed)", page.text, re.S)
        assert row is not None
        assert f"{value:.3f}" in row[1]
        goal = BARS.get(name, metrics["before"][name])
        assert row[2] == ("reached" if value >= goal else "missed")


def test_a_missed_goal_is_said(folder, page):
    html = write_report(folder, bars={**BARS, "mask_j&f": 0.9999}).read_text(encoding="utf-8")
    assert "missed" in Page(html).text
    assert "missed" not in page.text


def test_texts_of_the_data_are_escaped(tmp_path):
    write_run(tmp_path, records=2)
    file = tmp_path / "evaluation" / "after" / "predictions.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line["question"] = "<script>alert('&')</script>"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    html = write_report(tmp_path, bars={}).read_text(encoding="utf-8")
    assert "<script>" not in html


def test_a_run_where_nothing_was_predicted_has_a_report(tmp_path):
    write_run(tmp_path, records=2)
    evaluation = tmp_path / "evaluation"
    for name in ("results.json", "predictions.jsonl"):
        (evaluation / "after" / name).write_bytes((evaluation / "before" / name).read_bytes())
    (tmp_path / "log.jsonl").write_text("")
    text = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert "The training log is empty." in text
    assert "1 thing to predict not in the answer" in text


@pytest.mark.parametrize("name", ["metrics.json", "log.jsonl", "evaluation/after/results.json"])
def test_a_missing_file_is_named(tmp_path, name):
    write_run(tmp_path, records=2)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"cannot read .*{name}: No such file"):
        write_report(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    write_run(tmp_path, records=2)
    (tmp_path / "log.jsonl").write_text('{"stage": \n')
    with pytest.raises(InputError, match=r"log\.jsonl is broken"):
        write_report(tmp_path)


def test_steps_of_the_stages_follow_each_other():
    log = [{"stage": STAGES[0], "step": 40}, {"stage": STAGES[2], "step": 10}]
    assert stage_offsets(log, STAGES) == ({STAGES[0]: 0, STAGES[1]: 40, STAGES[2]: 40}, 50)


def test_terms_are_losses_alone():
    log = [{"stage": "a", "step": 1, "lr": 0.1, "lm": 1.0, "region/l1": 0.5, "loss": 2.0}]
    assert term_names(log) == ["loss", "lm", "region/l1"]


def prediction(number, kind, media, score):
    return {"id": str(number), "kind": kind, "media": media, "scores": {"iou": [score]}}


def test_the_first_of_each_kind_and_the_worst_are_chosen():
    predictions = [
        prediction(0, "region/a", "m0", 0.9),
        prediction(1, "region/a", "m0", 0.1),
        prediction(2, "region/b", "m0", 0.8),
        prediction(3, "region/a", "m1", 0.7),
        prediction(4, "region/b", "m2", 0.2),
        prediction(5, "chat/a", "m3", 0.0),
    ]
    chosen = choose(predictions, task="region", score="iou", each=2, worst=1)
    found = [(shown.prediction["id"], shown.worst) for shown in chosen]
    assert found == [("0", False), ("3", False), ("4", False), ("2", False), ("1", True)]
