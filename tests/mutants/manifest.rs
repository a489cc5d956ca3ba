//! Every single bit of a file that a manifest covers is missed when it changes.

use distill_core::StopSignal;
use distill_data::logits::Store;

use crate::readers;

#[test]
fn every_changed_bit_of_a_shard_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = readers::store(directory.path());
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.verify(&StopSignal::default(), &distill_core::Silent).unwrap(), []);
    let path = directory.path().join(&manifest.shards[1].file.name);
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    for bit in 0..whole.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let damage = store.verify(&StopSignal::default(), &distill_core::Silent).unwrap();
        assert!(damage.len() == 1 && damage[0].file == path, "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(bytes, whole);
}
