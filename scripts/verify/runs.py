"""What the scripts beside share: runs of the command line, and checkpoints with a tokenizer of single characters."""

import json
import pathlib
import random
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "test/models/tiny"
SEQUENCE = 24
CHARACTERS = [chr(code) for code in range(0x20, 0x7F)] + ["é"]


def ballast(*arguments: object) -> dict | str:
    """The JSON object that a command prints, or the last line of what it complains of."""
    command = ["node", str(ROOT / "dist/cli/main.js"), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def add_tokenizer(directory: pathlib.Path) -> None:
    vocabulary = {character: code for code, character in enumerate(CHARACTERS)}
    model = dict(type="BPE", vocab=vocabulary, merges=[], unk_token=None, byte_fallback=False)
    none = dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder"))
    tokenizer = dict(version="1.0", added_tokens=[], model=model, **none)
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))


def draw_text(path: pathlib.Path) -> list[int]:
    """Writes a random text there; its tokens."""
    characters = random.Random(0).choices(CHARACTERS[:-1], k=4000)
    path.write_text("".join(characters))
    return [CHARACTERS.index(character) for character in characters]


def perplexity_of(result: pathlib.Path, text: pathlib.Path) -> float | str:
    """As `ballast evaluate` finds it."""
    evaluated = ballast("evaluate", result, "--text", text, "--sequence-length", SEQUENCE)
    return evaluated if isinstance(evaluated, str) else evaluated["results"][0]["perplexity"]
