"""Whether transformers loads what Ballast writes for every language model, and computes the same with it.

    python scripts/verify/every-architecture.py [name ...]

Gives each tiny checkpoint of test/models/tiny/ a tokenizer of single characters, quantizes it to 4 bits in groups of 8
and loads the result: `huggingface` as it is, which must miss no tensor and know every one, and `compressed-tensors`
packed, as transformers loads symmetric grids. Prints one JSON object: model -> format -> how far the perplexity of
transformers is from that of `ballast evaluate`, as a share of it; or the reason why a format was refused.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers

from perplexity import perplexity

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEQUENCE = 24
GRID = ["--bits", "4", "--group-size", "8", "--symmetric", "--scale-dtype", "float16"]
CHARACTERS = [chr(code) for code in range(0x20, 0x7F)] + ["é"]


def ballast(*arguments: object) -> dict | str:
    command = ["node", str(ROOT / "dist/cli/main.js"), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def prepare(source: pathlib.Path, target: pathlib.Path) -> None:
    shutil.copytree(source, target)
    vocabulary = {character: code for code, character in enumerate(CHARACTERS)}
    model = dict(type="BPE", vocab=vocabulary, merges=[], unk_token=None, byte_fallback=False)
    none = dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder"))
    tokenizer = dict(version="1.0", added_tokens=[], model=model, **none)
    (target / "tokenizer.json").write_text(json.dumps(tokenizer))


def compare(model: pathlib.Path, name: str, text: pathlib.Path, ids: torch.Tensor) -> float | str:
    output = model.parent / name
    run = ["--calibration", text, "--samples", 16, "--sequence-length", SEQUENCE, *GRID]
    report = ballast("quantize", model, "--output", output, "--format", name, *run)
    if isinstance(report, str):
        return report
    evaluated = ballast("evaluate", output, "--text", text, "--sequence-length", SEQUENCE)
    own = evaluated["results"][0]["perplexity"]
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
    characters = random.Random(0).choices(CHARACTERS[:-1], k=4000)
    ids = torch.tensor([CHARACTERS.index(character) for character in characters])
    figures = {}
    tiny = ROOT / "test/models/tiny"
    for source in [tiny / name for name in sys.argv[1:]] or sorted(tiny.iterdir()):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            prepare(source, folder / "model")
            text = folder / "text.txt"
            text.write_text("".join(characters))
            formats = ("huggingface", "compressed-tensors")
            figures[source.name] = {
                each: compare(folder / "model", each, text, ids) for each in formats
            }
        print(source.name, figures[source.name], file=sys.stderr)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
