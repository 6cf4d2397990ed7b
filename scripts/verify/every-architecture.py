"""Whether transformers loads what Ballast writes for every language model, and computes the same with it.

    python scripts/verify/every-architecture.py [name ...]

Gives each tiny checkpoint of test/models/tiny/ a tokenizer of single characters, quantizes it to 4 bits in groups of 8
and loads the result: `huggingface` as it is, which must miss no tensor and know every one, and `compressed-tensors`
packed, as transformers loads symmetric grids. Prints one JSON object: model -> format -> how far the perplexity of
transformers is from that of `ballast evaluate`, as a share of it; or the reason why a format was refused.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers

from perplexity import perplexity
from runs import SEQUENCE, TINY, add_tokenizer, ballast, draw_text, perplexity_of

GRID = ["--bits", "4", "--group-size", "8", "--symmetric", "--scale-dtype", "float16"]


def compare(model: pathlib.Path, name: str, text: pathlib.Path, ids: torch.Tensor) -> float | str:
    output = model.parent / name
    run = ["--calibration", text, "--samples", 16, "--sequence-length", SEQUENCE, *GRID]
    report = ballast("quantize", model, "--output", output, "--format", name, *run)
    if isinstance(report, str):
        return report
    own = perplexity_of(output, text)
    if isinstance(own, str):
        return own
    (architecture,) = json.loads((output / "config.json").read_text())["architectures"]
    try:
        loaded, info = getattr(transformers, architecture).from_pretrained(
            output, dtype=torch.float32, output_loading_info=True
        )
    except Exception as problem:  # whatever it is, it is what a user would meet
        return f"does not load: {problem!r}"
    faults = {kind: sorted(map(str, keys)) for kind, keys in info.items() if keys}
    if name == "huggingface" and faults:
        return f"does not load cleanly: {json.dumps(faults)}"
    return abs(perplexity(loaded.eval(), ids, SEQUENCE) / own - 1)


def main() -> None:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    figures = {}
    for source in [TINY / name for name in sys.argv[1:]] or sorted(TINY.iterdir()):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copytree(source, folder / "model")
            add_tokenizer(folder / "model")
            text = folder / "text.txt"
            ids = torch.tensor(draw_text(text))
            formats = ("huggingface", "compressed-tensors")
            figures[source.name] = {
                each: compare(folder / "model", each, text, ids) for each in formats
            }
        print(source.name, figures[source.name], file=sys.stderr)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
