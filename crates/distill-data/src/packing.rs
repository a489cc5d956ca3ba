//! Documents to sequences of at most `max_length` tokens, for masked language modelling.
//!
//! The rule: a document that is longer than a sequence is cut into sequences of its own, all full but the last. Documents
//! that fit into a sequence whole are put together in their order, with the tokenizer's separator between each two, as many
//! as fit; none of these is cut. So a sequence has one part of a long document, or short documents from beginning to end.
//!
//! Source: DOC-SENTENCES and FULL-SENTENCES of Liu et al. 2019, arXiv:1907.11692, section 4.2. Of long documents this is
//! the former, of short ones the latter. Sequences are not padded here, so short ones cost nothing.

use serde::{Deserialize, Serialize};

use crate::tokens::{Frame, TokenError};

/// Whether short documents share sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// As many as fit.
    #[default]
    Together,
    /// Each document has sequences of its own.
    Apart,
}

impl Packing {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Together => "together",
            Packing::Apart => "apart",
        }
    }
}

/// Where a document was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Position in the source, from 0.
    pub row: u64,
    /// [`crate::cache::id_hash`] of its id.
    pub id_hash: u64,
}

/// A sequence with its special tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Ids in the vocabulary, at most `max_length`.
    pub input_ids: Vec<u32>,
    /// The first document in it: all sequences of a long document have the same.
    pub origin: Origin,
}

/// Packs a stream of documents.
#[derive(Debug)]
pub struct Packer<'a> {
    frame: &'a Frame,
    /// Tokens of a sequence besides the special ones around them.
    room: usize,
    packing: Packing,
    /// Short documents that are waiting for more.
    open: Vec<u32>,
    origin: Origin,
}

impl<'a> Packer<'a> {
    /// A packer without any document.
    ///
    /// # Errors
    /// [`TokenError::MaxLength`] where the special tokens leave no room.
    pub fn new(frame: &'a Frame, max_length: usize, packing: Packing) -> Result<Self, TokenError> {
        let special = frame.before.len() + frame.after.len();
        match max_length.checked_sub(special).filter(|room| *room > 0) {
            Some(room) => Ok(Packer { frame, room, packing, open: Vec::new(), origin: Origin::default() }),
            None => Err(TokenError::MaxLength { max_length, special, pair: false }),
        }
    }

    /// Adds a document's tokens, without special ones around them; returns the sequences that are complete.
    pub fn push(&mut self, origin: Origin, document: &[u32]) -> Vec<Sequence> {
        if document.is_empty() {
            return Vec::new();
        }
        let mut complete = Vec::new();
        if document.len() > self.room {
            complete.extend(self.close());
            complete.extend(document.chunks(self.room).map(|part| self.framed(part, origin)));
            return complete;
        }
        let between = self.frame.between.filter(|_| self.packing == Packing::Together);
        match between.filter(|_| self.open.len() + 1 + document.len() <= self.room) {
            Some(separator) if !self.open.is_empty() => {
                self.open.push(separator);
                self.open.extend_from_slice(document);
            }
            _ => {
                complete.extend(self.close());
                self.open.extend_from_slice(document);
                self.origin = origin;
            }
        }
        complete
    }

    /// The sequence that was waiting for more documents.
    pub fn close(&mut self) -> Option<Sequence> {
        let open = std::mem::take(&mut self.open);
        (!open.is_empty()).then(|| self.framed(&open, self.origin))
    }

    fn framed(&self, tokens: &[u32], origin: Origin) -> Sequence {
        let Frame { before, after, .. } = self.frame;
        Sequence { input_ids: [before, tokens, after].concat(), origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLS: u32 = 101;
    const SEP: u32 = 102;

    fn frame() -> Frame {
        Frame { before: vec![CLS], after: vec![SEP], between: Some(SEP) }
    }

    /// The sequences of documents of these lengths, each of tokens that say which document they are of.
    fn packed(lengths: &[usize], max_length: usize, packing: Packing) -> Vec<(u64, Vec<u32>)> {
        let frame = frame();
        let mut packer = Packer::new(&frame, max_length, packing).unwrap();
        let mut sequences = Vec::new();
        for (row, length) in (0u32..).zip(lengths) {
            let origin = Origin { row: row.into(), id_hash: row.into() };
            sequences.extend(packer.push(origin, &vec![row; *length]));
        }
        sequences.extend(packer.close());
        sequences.into_iter().map(|sequence| (sequence.origin.row, sequence.input_ids)).collect()
    }

    #[test]
    fn short_documents_share_a_sequence_and_long_ones_have_their_own() {
        let found = packed(&[2, 1, 2, 9, 1], 6, Packing::Together);
        let expected = [
            (0, vec![CLS, 0, 0, SEP, 1, SEP]),
            (2, vec![CLS, 2, 2, SEP]),
            (3, vec![CLS, 3, 3, 3, 3, SEP]),
            (3, vec![CLS, 3, 3, 3, 3, SEP]),
            (3, vec![CLS, 3, SEP]),
            (4, vec![CLS, 4, SEP]),
        ];
        assert_eq!(found, expected);
        let apart = packed(&[2, 1, 0, 2], 6, Packing::Apart);
        assert_eq!(apart, [(0, vec![CLS, 0, 0, SEP]), (1, vec![CLS, 1, SEP]), (3, vec![CLS, 3, 3, SEP])]);
    }

    #[test]
    fn no_token_is_lost_and_no_sequence_is_too_long() {
        let lengths: Vec<usize> = (0..200).map(|document| document * 7 % 23).collect();
        for (max_length, packing) in [(5, Packing::Together), (16, Packing::Together), (9, Packing::Apart)] {
            let found = packed(&lengths, max_length, packing);
            assert!(found.iter().all(|(_, ids)| (3..=max_length).contains(&ids.len())));
            let own = |ids: &[u32]| ids.iter().filter(|id| ![CLS, SEP].contains(id)).count();
            let kept: usize = found.iter().map(|(_, ids)| own(ids)).sum();
            // The documents 101 and 102 are made of special tokens.
            let special: usize = lengths[101] + lengths[102];
            assert_eq!(kept, lengths.iter().sum::<usize>() - special, "{max_length}");
        }
    }

    #[test]
    fn without_a_separator_documents_stay_apart_and_without_room_there_are_none() {
        let bare = Frame { before: vec![], after: vec![], between: None };
        let mut packer = Packer::new(&bare, 8, Packing::Together).unwrap();
        assert!(packer.push(Origin::default(), &[1, 2]).is_empty());
        assert_eq!(packer.push(Origin::default(), &[3])[0].input_ids, [1, 2]);
        let error = Packer::new(&frame(), 2, Packing::Together).unwrap_err().to_string();
        assert!(error.contains("max_length is 2") && error.contains("need 2"), "{error}");
    }
}
