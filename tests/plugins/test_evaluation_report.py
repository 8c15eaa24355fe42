"""The page about results: tables beside published figures, plots, samples, and bad input."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor

from tests.plugins import evaluation_runs as runs
from tpo_core.cli import main
from tpo_core.errors import InputError
from tpo_core.evaluation import EvaluationResult, Prediction
from tpo_plugins.evaluation_report import write_evaluation_report
from tpo_plugins.evaluation_report.choose import choose_samples
from tpo_plugins.evaluation_report.evidence import evidence_of
from tpo_plugins.evaluation_report.pictures import draw_prediction
from tpo_plugins.report import style


class Page(HTMLParser):
    """Collects addresses, pictures, the text, and the rows of tables as lists of texts."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.pictures, self.text, self.rows = [], [], "", []
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value)
        if tag == "img":
            self.pictures.append(decoded(dict(attrs)["src"]))
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    def row(self, name):
        (found,) = [row for row in self.rows if row and row[0] == name]
        return found


def decoded(address):
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))).convert("RGB"))


def holds(picture, colour, *, pixels=20):
    """Tell whether a picture has pixels of a colour."""
    away = np.abs(picture.astype(int) - ImageColor.getrgb(colour)).max(axis=2)
    return int((away < 8).sum()) >= pixels


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def moments(root):
    return [runs.charades(root, "good"), runs.charades(root, "bad", runs.BAD)]


@pytest.fixture(scope="module")
def html(root, moments):
    others = [runs.got10k(root, "got"), runs.refcoco(root, "ref"), runs.youtube(root, "tube")]
    folders = [*moments, *others, runs.mvbench(root, "choices")]
    return write_evaluation_report(folders, root / "page" / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def write(folders, tmp_path, **options):
    path = write_evaluation_report(folders, tmp_path / "report.html", **options)
    return Page(path.read_text("utf-8"))


def test_the_page_needs_no_other_file(page):
    assert all(address.startswith(("data:image/png;", "#")) for address in page.addresses)


def test_our_figures_and_their_intervals_stand_above_the_published_ones(page, moments):
    result = EvaluationResult.read(moments[0])
    _, *figures, note = page.row("good.jsonl")
    for name, found in zip(result.metrics, figures, strict=True):
        low, high = result.intervals[name]
        assert found == f"{100 * result.metrics[name]:.1f}{100 * low:.1f} to {100 * high:.1f}"
    assert note == "4 questions"
    assert page.row("ChatVTG") == [
        "ChatVTG", "52.7", "33.0", "15.9", "34.9", "zero-shot; arXiv 2412.19326, Table 5"
    ]  # fmt: skip
    assert page.row("VideoChat-TPO, only the temporal head")[1:4] == ["–", "30.2", "–"]
    names = [row[0] for row in page.rows if row]
    assert names.index("good.jsonl") < names.index("bad.jsonl") < names.index("UniVTG")


def test_every_figure_by_kind_is_in_a_table(page):
    rows = [row for row in page.rows if row[:2] == ["action_sequence", "accuracy"]]
    assert rows == [["action_sequence", "accuracy", "100.0", "3"]]


def test_plots_show_each_result_in_its_colour(root, moments, tmp_path):
    both = write(moments, tmp_path, samples=0).pictures
    assert len(both) == 1
    assert holds(both[0], "#12426f", pixels=200)
    assert holds(both[0], "#e07b39", pixels=200)
    (one,) = write(moments[:1], tmp_path, samples=0).pictures
    assert holds(one, "#12426f", pixels=200)
    assert not holds(one, "#e07b39")


def test_published_figures_by_kind_are_marked_in_the_plot(page, root, tmp_path):
    (plot,) = write([root / "choices"], tmp_path, samples=0).pictures
    assert holds(plot, "#12426f", pixels=5000)
    assert holds(plot, style.INK, pixels=500)
    assert "A diamond is what was published for VideoChat-TPO." in page.text


def test_samples_are_right_and_wrong_ones(page):
    verdicts = re.findall(r"(right|wrong|not scored)\s+(\S+) ([\d.]+) · (\S+)", page.text)
    assert ("right", "r1@0.3", "1.00", "moment") in verdicts
    assert ("wrong", "ao", "0.00", "val") in verdicts
    for verdict, _, value, _ in verdicts:
        assert (float(value) >= 0.5) == (verdict == "right")


def predictions_of(folder):
    return {one.id: one for one in EvaluationResult.read(folder).predictions}


def drawn(prediction):
    address, reason = draw_prediction(prediction)
    assert not reason
    return decoded(address)


@pytest.mark.parametrize(
    ("name", "id", "truth", "found"),
    [
        ("good", "0", "#3a4656", style.PREDICTED),
        ("bad", "2", "#3a4656", None),
        ("ref", "val/COCO_train2014_000000000001/0", style.TRUE, style.PREDICTED),
        ("ref", "testA/COCO_train2014_000000000001/1", style.TRUE, None),
    ],
)
def test_what_was_predicted_is_drawn_with_what_is_true(html, root, name, id, truth, found):
    picture = drawn(predictions_of(root / name)[id])
    assert holds(picture, truth)
    assert holds(picture, found or style.PREDICTED) == (found is not None)


def second_frame(picture, *, row):
    """Return the second frame of a strip, without its borders: above (0) or below (1)."""
    height = picture.shape[0]
    top = 44 if row == 0 else height - 174
    return picture[top : top + 168, 295:515]


def middle(picture, colour):
    """Return the mean column of the pixels of a colour."""
    away = np.abs(picture.astype(int) - ImageColor.getrgb(colour)).max(axis=2)
    columns = np.nonzero(away < 8)[1]
    assert len(columns) > 50
    return columns.mean()


@pytest.mark.parametrize(
    ("name", "id", "right"), [("got", "GOT-10k_Val_000001", 2), ("tube", "abc/0", 0)]
)
def test_strips_show_true_ones_above_predicted_ones(html, root, name, id, right):
    picture = drawn(predictions_of(root / name)[id])
    true, found = (second_frame(picture, row=row) for row in (0, 1))
    assert not holds(true, style.PREDICTED)
    pixels = right * 240 / runs.SIZE[1]
    assert middle(found, style.PREDICTED) - middle(true, style.TRUE) == pytest.approx(pixels, abs=3)


def test_a_frame_without_a_mask_shows_none(html, root):
    picture = drawn(predictions_of(root / "tube")["abc/0"])
    half, last = picture.shape[0] // 2, picture.shape[1] * 5 // 6 + 12
    assert holds(picture[half:, : last - 24], style.PREDICTED)
    assert not holds(picture[half:, last:], style.PREDICTED, pixels=1)


def test_the_given_box_is_drawn_on_its_frame(html, root):
    picture = drawn(predictions_of(root / "got")["GOT-10k_Val_000001"])
    away = np.abs(picture.astype(int) - ImageColor.getrgb("#ffd23d")).max(axis=2)
    columns = np.nonzero(away < 8)[1]
    assert len(columns) > 50
    assert columns.max() < picture.shape[1] / 6


def test_texts_of_the_data_are_escaped(html):
    assert "<b>closes</b>" not in html
    assert "person &lt;b&gt;closes&lt;/b&gt; it &amp; leaves" in html


def test_names_and_answers_are_escaped(moments, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(moments[0], folder)
    results = json.loads((folder / "results.json").read_text())
    results["model"] = {"backbone": "<script>alert(1)</script>", "heads": []}
    results["notes"] = ["<img src=x>"]
    (folder / "results.json").write_text(json.dumps(results))
    lines = (folder / "predictions.jsonl").read_text().replace('"answer":null', '"answer":"<i>"')
    (folder / "predictions.jsonl").write_text(lines)
    html = write_evaluation_report([folder], tmp_path / "page.html").read_text()
    for text in ("<script", "<img src=x>", "<i>"):
        assert text not in html.replace('<i style="', "")
    assert "answer: &lt;i&gt;" in html


def test_media_that_are_gone_are_told_of(root, page, moments, tmp_path):
    assert "no picture:" in page.text
    folder = tmp_path / "run"
    shutil.copytree(moments[0], folder)
    lines = (folder / "predictions.jsonl").read_text().replace("AB12C.mp4", "gone.mp4")
    (folder / "predictions.jsonl").write_text(lines.replace("CD34E.mp4", "AB12C.mp4"))
    found = write([folder], tmp_path)
    assert "gone.mp4 is not there" in found.text
    assert len(found.pictures) == 3


def test_a_broken_video_is_told_of(moments, tmp_path):
    video = tmp_path / "broken.mp4"
    video.write_bytes(b"no video")
    prediction = next(iter(predictions_of(moments[0]).values()))
    address, reason = draw_prediction(Prediction(**{**as_fields(prediction), "media": str(video)}))
    assert address == ""
    assert reason.startswith("no picture: ")
    assert "broken.mp4" in reason


def as_fields(prediction):
    return {name: getattr(prediction, name) for name in prediction.__dataclass_fields__}


def test_a_benchmark_that_is_not_registered_is_shown_without_published_figures(moments, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(moments[0], folder)
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "benchmark": "another"}))
    found = write([folder], tmp_path, samples=0)
    assert "no benchmark another is registered here" in found.text
    assert "UniVTG" not in found.text
    assert found.row("good.jsonl")[-1] == "4 questions"


def test_results_under_another_protocol_or_of_a_part_are_told_of(root, moments, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(moments[1], folder)
    results = json.loads((folder / "results.json").read_text())
    results["protocol"]["num_frames"] = 8
    results["limit"] = 1
    (folder / "results.json").write_text(json.dumps(results))
    text = write([moments[0], folder], tmp_path, samples=0).text
    assert "another protocol than good.jsonl: num_frames; the two cannot be compared" in text
    assert "bad.jsonl was asked about the first 1 media only" in text
    assert "another protocol" not in write(moments, tmp_path, samples=0).text


def test_results_of_one_model_are_told_apart_by_their_folders(moments, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(moments[0], folder)
    found = write([moments[0], folder, moments[0]], tmp_path, samples=0)
    assert found.row(f"good.jsonl ({folder})")
    assert [row[0] for row in found.rows].count(f"good.jsonl ({moments[0]})") == 1


# Bad input


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, r"holds no results\.json; give folders that `tpo eval --out` wrote"),
        ("{", r"results\.json cannot be read \(Expecting"),
        ("[]", r"results\.json holds no JSON object"),
        ("{}", r"results\.json is no result of an evaluation: benchmark: Field required"),
        ({"metrics": {"miou": "high"}}, r"no result of an evaluation: metrics\.miou"),
        ({"curves": {"recall": {"x": [0]}}}, r"no result of an evaluation: curves\.recall\.y"),
    ],
)
def test_a_folder_without_a_whole_result_is_named(moments, tmp_path, content, reason):
    folder = tmp_path / "run"
    shutil.copytree(moments[0], folder)
    file = folder / "results.json"
    results = json.loads(file.read_text())
    file.unlink()
    if content is not None:
        file.write_text(content if isinstance(content, str) else json.dumps({**results, **content}))
    with pytest.raises(InputError, match=reason) as error:
        write_evaluation_report([moments[1], folder], tmp_path / "report.html")
    assert str(folder) in str(error.value)
    assert not (tmp_path / "report.html").exists()


def test_broken_predictions_are_named(moments, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(moments[0], folder)
    (folder / "predictions.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(InputError, match=r"predictions\.jsonl:1 is no prediction"):
        write_evaluation_report([folder], tmp_path / "report.html")


def test_a_page_that_cannot_be_written_is_told_of(moments, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*file: "):
        write_evaluation_report(moments[:1], tmp_path / "file" / "report.html", samples=0)


def test_the_command_writes_the_page(moments, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    words = ["report", *map(str, moments), "--out", str(out), "--samples", "1", "--seed", "3"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert "with seed 3" in out.read_text()


def test_the_command_says_what_is_wrong_in_a_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none"), "--out", str(tmp_path / "page.html")]) == 1
    assert capsys.readouterr().err == (
        f"tpo: {tmp_path / 'none'} does not exist; give folders that `tpo eval --out` wrote\n"
    )
    assert main(["report"]) == 2


# Samples


def prediction(number, value, kind="a", **fields):
    scores = {"acc": () if value is None else (value,)}
    base = {"id": str(number), "kind": kind, "media": "m", "question": "?", "scores": scores}
    return Prediction(**{**base, **fields})


def test_samples_are_drawn_by_a_seed_from_every_kind():
    predictions = [prediction(n, n % 2, kind="ab"[n > 15]) for n in range(20)]
    first, again = (choose_samples(predictions, metrics=("acc",), each=2, seed=5) for _ in "xx")
    other = choose_samples(predictions, metrics=("acc",), each=2, seed=6)
    assert first == again != other
    assert [one.verdict for one in first] == ["right", "right", "wrong", "wrong"]
    assert [one.value for one in first] == [1, 1, 0, 0]
    for pair in (first[:2], first[2:]):
        assert {one.prediction.kind for one in pair} == {"a", "b"}


def test_the_first_figure_that_a_prediction_has_judges_it():
    mixed = prediction(0, 0.4, scores={"iou": (0.9,), "acc": (0.4, 0.4)})
    hidden = prediction(1, None)
    found = choose_samples([mixed, hidden], metrics=("acc", "iou"), each=1, seed=0)
    assert [(one.verdict, one.metric) for one in found] == [("wrong", "acc"), ("not scored", "")]
    assert choose_samples([mixed], metrics=("iou", "acc"), each=1, seed=0)[0].verdict == "right"


# Fields of benchmarks


@pytest.mark.parametrize(
    ("truth", "predicted", "spans", "found", "count"),
    [
        ([3.0, 9.0], {"pred_relevant_windows": [[1, 2, 0.5], [3, 4, 0.1]]}, [[3, 9]], (1, 2), 1),
        ([[0.0, 2.0], [5.0, 6.0]], {"spans": [[1, 2]]}, [[0, 2], [5, 6]], (1, 2), 2),
        ([3.0, 9.0], {"predicted_times": [[1, 2]]}, [[3, 9]], (1, 2), 1),
        ([3.0, 9.0], None, [[3, 9]], None, 1),
        (None, {"predicted_times": [[1, 2]]}, [], (1, 2), 1),
        ([3.0, 9.0], {"spans": []}, [[3, 9]], None, 1),
    ],
)
def test_spans_are_known_by_their_names(truth, predicted, spans, found, count):
    evidence = evidence_of(prediction(0, 1, truth=truth, predicted=predicted))
    assert evidence.form == "temporal"
    assert evidence.truth["spans"] == spans
    if found is None:
        assert evidence.found is None
    else:
        first = evidence.found["spans"][0]
        assert (first["start"], first["end"]) == found
        assert evidence.found["count"] == count


def test_grades_of_clips_are_saliency():
    truth = {
        "duration": 6.0,
        "relevant_windows": [[2.0, 6.0]],
        "relevant_clip_ids": [1, 2],
        "saliency_scores": [[4, 4, 4], [2, 2, 2]],
    }
    predicted = {
        "pred_relevant_windows": [[2.0, 4.0, 0.9]],
        "pred_saliency_scores": [0.1, 0.9, 0.5],
    }
    evidence = evidence_of(prediction(0, 1, truth=truth, predicted=predicted))
    assert evidence.truth["saliency"] == {"times": [0, 2, 4], "scores": [0, 1, 0.5]}
    assert evidence.found["saliency"] == {"times": [1, 3, 5], "scores": [0.1, 0.9, 0.5]}


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [("B", {"text": "B"}), (None, None), ("It is red.", {"text": "red", "results": []})],
)
def test_words_are_not_drawn(truth, predicted):
    assert evidence_of(prediction(0, 1, truth=truth, predicted=predicted)).form == "words"


def test_a_target_of_a_record_is_matched_with_the_first_result_of_its_task():
    truth = [{"task": "region", "box": [0, 0, 1, 1]}]
    results = [{"task": "temporal", "spans": []}, {"task": "region", "box": [0, 0, 0.5, 1]}]
    found = evidence_of(prediction(0, 1, truth=truth, predicted={"text": "", "results": results}))
    assert (found.form, found.truth, found.found) == ("region", truth[0], results[1])


def test_masks_that_cannot_be_placed_are_told_of(html, root):
    shown = predictions_of(root / "tube")["abc/0"]
    known = {str(number): mask for number, mask in enumerate(shown.truth["masks"].values())}
    known.popitem()
    fields = {**as_fields(shown), "truth": None, "predicted": {"masks": known}}
    address, reason = draw_prediction(Prediction(**fields))
    assert address == ""
    assert "holds 6 pictures and 5 frames are known by number" in reason
