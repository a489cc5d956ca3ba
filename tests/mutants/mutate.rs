//! Deterministic damage: the same seed makes the same mutant of a file on every machine.

/// A small generator of random numbers (SplitMix64), so that no version of a crate changes the mutants.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Seeded by a name and a number.
    pub fn of(name: &str, number: u64) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Random(hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Numbers at which sizes, counts and offsets go wrong.
const NUMBERS: [i64; 16] = [
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    65535,
    65536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 40,
    i64::MAX,
    i64::MIN,
    16 << 20,
];

/// The same as they are written in text, and some that are no numbers.
const WORDS: [&str; 14] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "1e-320",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "4294967296",
    "16777216",
    "null",
    "true",
    "NaN",
    "\"\"",
];

/// A damaged copy: one change, or up to four, more of them near the start and the end, where headers and footers are.
pub fn mutant(random: &mut Random, original: &[u8], dictionary: &[&str]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(2) * random.below(4) {
        change(random, &mut bytes, dictionary);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, dictionary: &[&str]) {
    let at = place(random, bytes.len());
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let longest = [4, 16, 64, 1024][random.below(4)];
    let length = 1 + random.below(longest);
    let end = (at + length).min(bytes.len());
    match random.below(14) {
        0..3 => bytes[at] ^= 1 << random.below(8),
        3 => bytes[at] = random.next() as u8,
        4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'['][random.below(8)],
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..end)),
        7 => {
            let copied = bytes[at..end].to_vec();
            insert(bytes, place(random, bytes.len()), &copied);
        }
        8 => {
            let new: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            insert(bytes, at, &new);
        }
        9 => binary_number(random, bytes, at),
        10 | 11 => text_number(random, bytes, at),
        12 if !dictionary.is_empty() => {
            let word = dictionary[random.below(dictionary.len())].as_bytes();
            insert(bytes, at, word);
        }
        // A length in the variable-length coding of Thrift and of protocol buffers.
        _ => {
            let new = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][random.below(8)..];
            overwrite(bytes, at, new);
        }
    }
}

fn place(random: &mut Random, length: usize) -> usize {
    if length == 0 {
        return 0;
    }
    match random.below(4) {
        0 => random.below(length.min(256)),
        1 => length - 1 - random.below(length.min(600)),
        _ => random.below(length),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    let at = at.min(bytes.len());
    bytes.splice(at..at, new.iter().copied());
}

fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (byte, new) in bytes[at..].iter_mut().zip(new) {
        *byte = *new;
    }
}

fn binary_number(random: &mut Random, bytes: &mut [u8], at: usize) {
    let number = NUMBERS[random.below(NUMBERS.len())];
    let width = [1, 2, 4, 8][random.below(4)];
    match random.below(3) {
        0 => overwrite(bytes, at, &number.to_be_bytes()[8 - width..]),
        _ => overwrite(bytes, at, &number.to_le_bytes()[..width]),
    }
}

/// Replaces the next number of a text.
fn text_number(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let word = WORDS[random.below(WORDS.len())].as_bytes();
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else {
        return insert(bytes, at, word);
    };
    let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
    bytes.splice(start..end, word.iter().copied());
}
