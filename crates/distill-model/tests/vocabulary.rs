//! Models whose vocabulary is replaced: the same logits for the same tokens under their new ids; and narrower word vectors.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::vocabulary::{NewVocabulary, Origin};
use distill_model::{HeadKind, Inputs, Mode, ModelDirectory, directory, weights};
use support::{golden, largest_difference, packed, tensors};
use tch::{Device, Tensor};

mod support;

const CLASSIFIERS: &[&str] = &[
    "bert-tiny",
    "roberta-tiny",
    "xlm-roberta-tiny",
    "camembert-tiny",
    "distilbert-tiny",
    "mpnet-tiny",
    "electra-tiny",
    "electra-wide-tiny",
    "albert-tiny",
    "deberta-v3-tiny",
    "deberta-v2-tiny",
    "modernbert-tiny",
    "nomic-bert-tiny",
];
const MASKED: &[&str] =
    &["bert-masked", "roberta-masked", "camembert-masked", "distilbert-masked", "mpnet-masked"];

/// Ids that stay as they are: MPNet's positions are counted from behind id 1, whatever the padding token is.
fn fixed(name: &str) -> i64 {
    if name.starts_with("mpnet") { 2 } else { 0 }
}

/// The old vocabulary backwards, with two more tokens: the mean of the old ones with ids 2 and 3, and of all.
fn backwards(name: &str, size: i64, padding: Option<u32>) -> NewVocabulary {
    let (fixed, size) = (u32::try_from(fixed(name)).unwrap(), u32::try_from(size).unwrap());
    let mut origins: Vec<Origin> = (0..fixed).chain((fixed..size).rev()).map(Origin::Copied).collect();
    origins.extend([Origin::Mean(vec![2, 3]), Origin::Average]);
    let moved = |id: u32| if id < fixed { id } else { size - 1 - (id - fixed) };
    let padding = padding.map(|padding| ("pad_token_id".to_owned(), moved(padding)));
    NewVocabulary { origins, special: padding.into_iter().collect() }
}

/// A model, and the one with its vocabulary backwards.
fn both(name: &str) -> (ModelDirectory, ModelDirectory) {
    let old = ModelDirectory::open(&golden(name)).unwrap();
    let config = old.config().to_json();
    let padding = config["pad_token_id"].as_u64().map(|id| u32::try_from(id).unwrap());
    let new = old.clone().with_vocabulary(&backwards(name, old.config().vocab_size, padding)).unwrap();
    (old, new)
}

/// The batch of a golden folder, and the same with other ids.
fn batches(name: &str, size: i64) -> (Inputs, Inputs) {
    let batch = || packed(&tensors(&golden(name).join("golden.safetensors"))).0;
    let other = batch();
    let (ids, fixed) = (&other.input_ids, fixed(name));
    let input_ids = ((size - 1 + fixed) - ids).where_self(&ids.ge(fixed), ids);
    (batch(), Inputs { input_ids, ..other })
}

#[test]
fn every_architecture_gives_the_same_logits_under_other_ids() {
    for name in CLASSIFIERS {
        let (old, new) = both(name);
        let size = old.config().vocab_size;
        let (inputs, renumbered) = batches(name, size);
        let (old, new) = (old.load_classifier(Device::Cpu).unwrap(), new.load_classifier(Device::Cpu).unwrap());
        let expected = old.forward(&inputs, Mode::Evaluate).unwrap();
        let found = new.forward(&renumbered, Mode::Evaluate).unwrap();
        assert!(largest_difference(&expected, &found) < 1e-6, "{name}");
        assert_eq!((new.config().vocab_size, new.word_embeddings().size()[0]), (size + 2, size + 2), "{name}");
        assert_eq!(new.config().max_length(), old.config().max_length(), "{name}");
    }
}

#[test]
fn heads_that_predict_words_predict_the_same_words() {
    for name in MASKED {
        let (old, new) = both(name);
        let size = old.config().vocab_size;
        let (inputs, renumbered) = batches(name, size);
        let load = |directory: &ModelDirectory| directory.load_with(HeadKind::Masked, Device::Cpu).unwrap();
        let expected = load(&old).forward(&inputs, Mode::Evaluate).unwrap(); // [T, V]
        let found = load(&new).forward(&renumbered, Mode::Evaluate).unwrap(); // [T, V + 2]
        let fixed = fixed(name);
        let backwards = found.narrow(1, fixed, size - fixed).flip([1]);
        let same = Tensor::cat(&[found.narrow(1, 0, fixed), backwards], 1);
        assert!(largest_difference(&expected, &same) < 1e-5, "{name}");
        let mean = expected.narrow(1, 2, 2).mean_dim([1i64].as_slice(), false, None);
        assert!(largest_difference(&mean, &found.select(1, size)) < 1e-5, "{name}");
    }
}

#[test]
fn embeddings_are_copied_bit_for_bit_or_are_means() {
    let (old, new) = both("bert-tiny");
    let size = old.config().vocab_size;
    let table = |directory: &ModelDirectory| {
        directory.load_classifier(Device::Cpu).unwrap().word_embeddings().detach().copy()
    };
    let (old, new) = (table(&old), table(&new));
    assert_eq!(old, new.narrow(0, 0, size).flip([0]));
    let mean = |rows: Tensor| rows.mean_dim([0i64].as_slice(), false, None);
    assert!(largest_difference(&mean(old.narrow(0, 2, 2)), &new.get(size)) < 1e-7);
    assert!(largest_difference(&mean(old), &new.get(size + 1)) < 1e-7);
}

/// A second replacement takes the place of the first one, and what is written is read again.
#[test]
fn a_vocabulary_is_replaced_twice_and_written() {
    let (old, new) = both("roberta-tiny");
    let size = old.config().vocab_size;
    let padding = new.config().to_json()["pad_token_id"].as_u64().map(|id| u32::try_from(id).unwrap());
    let origins = (0..u32::try_from(size).unwrap()).rev().map(Origin::Copied).collect();
    let special =
        BTreeMap::from([("pad_token_id".to_owned(), u32::try_from(size).unwrap() - 1 - padding.unwrap())]);
    let again = new.with_vocabulary(&NewVocabulary { origins, special }).unwrap();
    let (first, second) =
        (old.load_classifier(Device::Cpu).unwrap(), again.load_classifier(Device::Cpu).unwrap());
    for ((name, first), (_, second)) in first.parameters().iter().zip(second.parameters()) {
        // The row of the padding token, and those before it, are never read.
        let unread = if name.ends_with("position_embeddings.weight") { old.config().first_position } else { 0 };
        assert_eq!(first.slice(0, unread, None, 1), second.slice(0, unread, None, 1), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    directory::save(&second, folder.path()).unwrap();
    let read = ModelDirectory::open(folder.path()).unwrap();
    assert_eq!(read.config().to_json()["pad_token_id"], old.config().to_json()["pad_token_id"]);
    read.load_classifier(Device::Cpu).unwrap();
}

/// MPNet counts positions from behind id 1: with another padding token, tokens of texts would take no position.
#[test]
fn a_padding_token_that_the_architecture_does_not_allow_is_refused() {
    let old = ModelDirectory::open(&golden("mpnet-tiny")).unwrap();
    let error = old.clone().with_vocabulary(&backwards("bert", old.config().vocab_size, Some(1))).unwrap_err();
    assert!(error.to_string().contains("pad_token_id"), "{error}");
}

#[test]
fn a_token_beyond_the_table_is_refused() {
    let old = ModelDirectory::open(Path::new(&golden("bert-tiny"))).unwrap();
    let origins = vec![Origin::Copied(u32::try_from(old.config().vocab_size).unwrap() + 1)];
    let new = old.with_vocabulary(&NewVocabulary { origins, ..NewVocabulary::default() }).unwrap();
    assert!(new.load_classifier(Device::Cpu).unwrap_err().to_string().contains("beyond the table"));
}

/// A copy of a golden model whose word, position and token type vectors have three directions only.
fn flat(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = tensors(&golden(name).join("model.safetensors"));
    distill_torch::rng::manual_seed(1);
    let mut directions = None;
    let tables =
        ["word", "position", "token_type"].map(|table| format!(".embeddings.{table}_embeddings.weight"));
    let is_table = |name: &str| tables.iter().any(|table| name.ends_with(table));
    for (_, tensor) in weights.iter_mut().filter(|(name, _)| is_table(name)) {
        let (rows, width) = (tensor.size()[0], tensor.size()[1]);
        let options = (tch::Kind::Float, Device::Cpu);
        let directions = directions.get_or_insert_with(|| Tensor::randn([3, width], options));
        *tensor = Tensor::randn([rows, 3], options).matmul(directions) * 0.1;
    }
    let named: Vec<(String, Tensor)> = weights.into_iter().collect();
    weights::write(&folder.path().join("model.safetensors"), &named).unwrap();
    std::fs::copy(golden(name).join("config.json"), folder.path().join("config.json")).unwrap();
    folder
}

/// Word vectors of three directions fit into narrower ones: the logits stay the same.
#[test]
fn narrower_word_vectors_are_the_same_where_nothing_is_lost() {
    for name in ["albert-tiny", "electra-tiny", "electra-wide-tiny", "deberta-v2-tiny", "deberta-v3-tiny"] {
        let folder = flat(name);
        let wide = ModelDirectory::open(folder.path()).unwrap();
        let (batch, _) = batches(name, wide.config().vocab_size);
        let logits = |directory: &ModelDirectory| {
            directory.load_classifier(Device::Cpu).unwrap().forward(&batch, Mode::Evaluate).unwrap()
        };
        let narrow = wide.clone().with_embedding_size(5).unwrap();
        assert!(largest_difference(&logits(&wide), &logits(&narrow)) < 2e-5, "{name}");
        let model = narrow.load_classifier(Device::Cpu).unwrap();
        assert_eq!(model.word_embeddings().size()[1], 5, "{name}");
        let written = tempfile::tempdir().unwrap();
        directory::save(&model, written.path()).unwrap();
        let read = ModelDirectory::open(written.path()).unwrap();
        assert!(largest_difference(&logits(&read), &logits(&narrow)) < 1e-6, "{name}");
    }
}

#[test]
fn narrower_word_vectors_are_refused_where_an_architecture_has_none() {
    for (name, size) in [("bert-tiny", 4), ("roberta-tiny", 4), ("albert-tiny", 1), ("albert-tiny", 4096)] {
        let directory = ModelDirectory::open(&golden(name)).unwrap();
        let error = directory.with_embedding_size(size).unwrap_err().to_string();
        assert!(error.contains("embedding_size"), "{name}: {error}");
    }
}
