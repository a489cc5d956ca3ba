"""Sequences and masks as distill draws them: `packing`, and `masking` of single tokens, of distill-data, written again."""

import struct

from training_order import below, chacha8

VALIDATION = 2**64 - 1


def packed(documents, before, between, after, max_length):
    """Long documents are cut into sequences of their own, short ones are put together with `between`."""
    room = max_length - len(before) - len(after)
    sequences, open_ = [], []

    def close():
        if open_:
            sequences.append([*before, *open_, *after])
            open_.clear()

    for document in filter(None, documents):
        if len(document) > room:
            close()
            sequences.extend([*before, *document[at : at + room], *after] for at in range(0, len(document), room))
        elif open_ and len(open_) + 1 + len(document) <= room:
            open_.extend([between, *document])
        else:
            close()
            open_.extend(document)
    close()
    return sequences


class Masking:
    """Of the tokens of a sequence, but for the special ones, `share` is predicted: 80 % masked, 10 % random, 10 % kept."""

    def __init__(self, tokenizer, share, seed):
        self.special = set(tokenizer.all_special_ids)
        self.ordinary = sorted(set(tokenizer.get_vocab().values()) - self.special)
        self.mask_id, self.share, self.seed = tokenizer.mask_token_id, share, seed

    def masked(self, ids, number, epoch):
        """The sequence of this number under its mask, and the places that are predicted, rising."""
        stream = chacha8(struct.pack("<QQQ8s", self.seed, epoch, number, b"masking\0"))
        places = [place for place, token in enumerate(ids) if token not in self.special]
        wanted = min(max(1, int(self.share * len(places) + 0.5)), len(places))
        for at in range(wanted):
            other = at + below(len(places) - at, stream)
            places[at], places[other] = places[other], places[at]
        chosen, ids = sorted(places[:wanted]), list(ids)
        for place in chosen:
            fate = below(10, stream)
            if fate < 8:
                ids[place] = self.mask_id
            elif fate == 8:
                ids[place] = self.ordinary[below(len(self.ordinary), stream)]
        return ids, chosen
