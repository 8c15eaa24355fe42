"""Prompting and propagating: equal to upstream's numbers and to SAM2's own video predictor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.heads.mask_samples import video, write_golden_sam2
from tpo_heads.mask.features import (
    ImageFeatures,
    encode_images,
    iterate_features,
    prepare_frames,
)
from tpo_heads.mask.prompts import box_embedding, injected_prompt
from tpo_heads.mask.propagate import Prompt, Tracker, propagate
from tpo_heads.mask.sam2_source import load_sam2, read_config


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_sam2(write_golden_sam2(tmp_path_factory.mktemp("sam2")))


def stream(features: ImageFeatures) -> Iterator[ImageFeatures]:
    return (features.take([row]) for row in range(len(features.maps[0])))


def upsampled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(logits, size=size, mode="bilinear")


# ---- SAM2's own video predictor


def predictor_state(sam: Any, frames: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    """Build the state that `SAM2VideoPredictor.init_state` makes of a folder of JPEG files."""
    from collections import OrderedDict

    cpu = torch.device("cpu")
    mappings = (
        "point_inputs_per_obj mask_inputs_per_obj cached_features constants output_dict_per_obj "
        "temp_output_dict_per_obj frames_tracked_per_obj"
    )
    return {name: {} for name in mappings.split()} | {
        "images": prepare_frames(frames, image_size=sam.image_size),
        "num_frames": len(frames),
        "video_height": size[0],
        "video_width": size[1],
        "device": cpu,
        "storage_device": cpu,
        "offload_video_to_cpu": False,
        "offload_state_to_cpu": False,
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
    }


@pytest.mark.parametrize("start", [0, 3])
def test_boxes_propagate_as_in_the_video_predictor(sam: Any, start: int) -> None:
    """Two boxes on a 12-frame video, longer than SAM2's memory: the same logits on every frame."""
    media = video(12)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.7], [0.4, 0.1, 0.9, 0.6]])
    state = predictor_state(sam, media.frames, media.size)
    scale = torch.tensor([media.size[1], media.size[0]] * 2)
    for number, box in enumerate(boxes):
        sam.add_new_points_or_box(state, frame_idx=start, obj_id=number, box=box * scale)
    expected = {frame: masks for frame, _, masks in sam.propagate_in_video(state)}
    prompts = [Prompt(frame=start, sparse=box_embedding(sam, boxes))]
    features = iterate_features(sam, media.frames, batch=1)
    found = list(propagate(sam, features, prompts=prompts, num_frames=12))
    assert sorted(expected) == list(range(start, 12))
    for frame, masks in expected.items():
        torch.testing.assert_close(
            upsampled(found[frame].logits, media.size), masks, atol=2e-4, rtol=0
        )
    for frame in range(start):
        assert not (found[frame].logits > 0).any()
        assert (found[frame].presence == 0).all()


def test_objects_do_not_see_each_other(sam: Any) -> None:
    """Objects prompted together, or on different frames, are tracked as if alone."""
    media = video(7)
    sparse = box_embedding(sam, torch.tensor([[0.1, 0.2, 0.5, 0.7], [0.4, 0.1, 0.9, 0.6]]))
    features = encode_images(sam, prepare_frames(media.frames, image_size=sam.image_size))
    alone = [Prompt(frame=0, sparse=sparse[:1]), Prompt(frame=2, sparse=sparse[1:])]

    def run(prompts: list[Prompt]) -> Tensor:
        frames = propagate(sam, stream(features), prompts=prompts, num_frames=7)
        return torch.stack([frame.logits for frame in frames])

    both = run(alone)
    torch.testing.assert_close(both[:, :1], run(alone[:1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(both[:, 1:], run(alone[1:]), atol=1e-4, rtol=0)
    together = run([Prompt(frame=0, sparse=sparse)])
    torch.testing.assert_close(together[:, :1], run(alone[:1]), atol=1e-4, rtol=0)


# ---- memory


def test_memory_does_not_grow_with_the_video(sam: Any) -> None:
    """What is held after 40 frames is what is held after 20; nothing is read that was dropped."""
    sparse = box_embedding(sam, torch.tensor([[0.1, 0.2, 0.5, 0.7]]))
    image = prepare_frames(video(1).frames, image_size=sam.image_size)
    features = encode_images(sam, image)
    tracker = Tracker(sam, prompts=[Prompt(frame=0, sparse=sparse)], num_frames=40)
    held = []
    with torch.no_grad():
        for frame in range(40):
            tracker.step(frame, features)
            held.append(sum(tensor.numel() for tensor in tracker.memories[0].tensors()))
    assert max(held) == held[20] == held[-1]
    kept = [entry for entry in tracker.memories[0].recent.values() if "maskmem_features" in entry]
    assert len(kept) <= sam.num_maskmem


def test_frames_are_encoded_chunk_by_chunk(sam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first masks come before later frames are looked at."""
    sizes: list[int] = []
    encode = sam.forward_image
    monkeypatch.setattr(
        sam, "forward_image", lambda images: sizes.append(len(images)) or encode(images)
    )
    sparse = box_embedding(sam, torch.tensor([[0.1, 0.2, 0.5, 0.7]]))
    features = iterate_features(sam, video(7).frames, batch=3)
    frames = propagate(sam, features, prompts=[Prompt(frame=0, sparse=sparse)], num_frames=7)
    next(frames)
    assert sizes == [3]
    assert len(list(frames)) == 6
    assert sizes == [3, 3, 1]


# ---- prompts and precision


def test_injected_prompt_ends_with_its_block(sam: Any) -> None:
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.7]])
    before = box_embedding(sam, boxes)
    with injected_prompt(sam, torch.zeros(1, 3, 32)):
        assert not box_embedding(sam, boxes).any()
    assert torch.equal(box_embedding(sam, boxes), before)
    with contextlib.suppress(KeyError), injected_prompt(sam, torch.zeros(1, 3, 32)):
        raise KeyError
    assert torch.equal(box_embedding(sam, boxes), before)


def test_positions_stay_float32_in_a_bfloat16_encoder(sam: Any) -> None:
    images = prepare_frames(video(2).frames, image_size=sam.image_size)
    exact, half = encode_images(sam, images), encode_images(sam, images, dtype="bfloat16")
    for ours, theirs in zip(half.positions, exact.positions, strict=True):
        assert torch.equal(ours, theirs)
    assert all(feature.dtype == torch.float32 for feature in half.maps)
    assert not torch.equal(half.maps[-1], exact.maps[-1])  # it did compute in bfloat16
    torch.testing.assert_close(half.maps[-1], exact.maps[-1], atol=0.1, rtol=0.1)


# ---- sources


def test_a_configuration_may_name_sam2_classes_only(tmp_path: Path) -> None:
    from tpo_core.errors import InputError

    write_golden_sam2(tmp_path)
    config = tmp_path / "config.yaml"
    text = config.read_text(encoding="utf-8").replace(
        "sam2.modeling.memory_encoder.MaskDownSampler", "os.system"
    )
    config.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"'os.system'; only classes of the sam2 package"):
        load_sam2(str(tmp_path))


def test_sam2s_own_configurations_are_read_as_sam2_reads_them() -> None:
    import sam2

    path = Path(sam2.__file__).parent / "configs" / "sam2" / "sam2_hiera_l.yaml"
    config = read_config(path.read_text(encoding="utf-8"), source="sam2")
    assert config["memory_encoder"]["fuser"]["layer"]["layer_scale_init_value"] == 1e-6


def test_clear_errors_for_sources(tmp_path: Path) -> None:
    from tpo_core.errors import CheckpointError, InputError

    with pytest.raises(InputError, match="'nowhere/sam' is no folder, no file and no hub id"):
        load_sam2("nowhere/sam")
    with pytest.raises(InputError, match="package 'no_such_package', which is not installed"):
        load_sam2("package:no_such_package/sam2")
    with pytest.raises(InputError, match=r"has no config.yaml"):
        load_sam2(str(tmp_path))
    write_golden_sam2(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no model.safetensors and 0 \.pt files"):
        load_sam2(str(tmp_path))
    strange = tmp_path / "weights.bin"
    strange.write_bytes(b"")
    with pytest.raises(InputError, match="not named like a released one"):
        load_sam2(str(strange))
    (tmp_path / "config.yaml").write_text("- 1", encoding="utf-8")
    with pytest.raises(InputError, match="has no mapping `model`"):
        load_sam2(str(tmp_path))


def test_released_pt_files_are_read_as_tensors_only(tmp_path: Path) -> None:
    """A `.pt` in place of safetensors works; one that would run code on unpickling is refused."""
    from safetensors.torch import load_file

    from tpo_core.errors import CheckpointError

    write_golden_sam2(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save({"model": weights}, tmp_path / "sam2.pt")
    loaded = load_sam2(str(tmp_path)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())
    torch.save({"model": weights, "other": Path("/tmp")}, tmp_path / "sam2.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_sam2(str(tmp_path))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from tpo_core.errors import CheckpointError

    write_golden_sam2(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="do not fit its configuration"):
        load_sam2(str(tmp_path))
