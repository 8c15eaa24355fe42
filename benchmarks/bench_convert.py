"""Peak memory and time of converting a VideoChat-TPO checkpoint of the released size.

The checkpoint is made of sparse files: the released names, shapes and types (bfloat16), every value
0, four shards as in the release. It takes no space; the converted model takes 16.2 GB below --work.

    python benchmarks/bench_convert.py --work /tmp
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path

from tpo_plugins.convert.expected import expected_shapes
from tpo_plugins.convert.forward import convert
from tpo_plugins.convert.shards import INDEX, Header
from tpo_plugins.convert.sizes import Sizes

SHARDS = 4
TOKENIZER = Path(__file__).parents[1] / "tests" / "golden" / "mistral_tokenizer.model"


def write_sparse(path: Path, headers: dict[str, Header]) -> None:
    """Write a safetensors file whose tensors are one hole."""
    table, at = {}, 0
    for name, header in headers.items():
        end = at + header.bytes
        table[name] = {"dtype": header.dtype, "shape": header.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


def write_release(folder: Path) -> int:
    """Write the whole checkpoint; return its apparent size in bytes."""
    headers = {
        name: Header(shape, "I64" if name.endswith("position_ids") else "BF16")
        for name, shape in expected_shapes(Sizes()).items()
    }
    total = sum(header.bytes for header in headers.values())
    shards: list[dict[str, Header]] = [{}]
    for name, header in headers.items():
        if sum(held.bytes for held in shards[-1].values()) > total / SHARDS:
            shards.append({})
        shards[-1][name] = header
    files = {}
    for number, held in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_sparse(folder / file, held)
        files |= dict.fromkeys(held, file)
    (folder / INDEX).write_text(json.dumps({"weight_map": files}))
    shutil.copyfile(TOKENIZER, folder / "tokenizer.model")
    return total


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=None, help="where 16.2 GB are free")
    parser.add_argument("--merge-lora", action="store_true")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=arguments.work))
    try:
        (work / "release").mkdir()
        size = write_release(work / "release")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        since = time.perf_counter()
        convert(work / "release", work / "model", merge_lora=arguments.merge_lora)
        seconds = time.perf_counter() - since
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{size / 1e9:.1f} GB of tensors, merged {arguments.merge_lora}: {seconds:.0f} s, "
            f"peak memory {peak:.2f} GiB ({before:.2f} GiB before)"
        )
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
