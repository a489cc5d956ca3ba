//! Masked language models against `transformers`: logits where tokens are masked, of tiny random models
//! (`scripts/goldens/masked.py`), and what is refused.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::Category;
use distill_model::{Inputs, MaskedLanguageModel, ModelDirectory, ModelError, masked, weights};
use support::{golden, largest_difference, packed, repository, tensors};
use tch::{Device, Kind, Tensor};

mod support;

/// Folder, parameters.
const GOLDENS: &[(&str, u64)] = &[
    ("bert-masked", 21_043),
    ("roberta-masked", 12_885),
    ("camembert-masked", 14_410),
    ("distilbert-masked", 12_861),
    ("mpnet-masked", 14_482),
    ("albert-masked", 7_541),
    ("electra-masked", 12_021),
    ("deberta-v2-masked", 14_989),
    ("modernbert-masked", 17_317),
    ("nomic-bert-masked", 12_829),
];

fn load(path: &Path) -> Result<MaskedLanguageModel, ModelError> {
    let directory = ModelDirectory::open(path).unwrap();
    let checked = masked::check(&directory);
    let model = MaskedLanguageModel::load(&directory, Device::Cpu, Kind::Float);
    assert_eq!(checked.is_ok(), model.is_ok(), "{checked:?}");
    model
}

/// The golden batch packed, its masked places there, and the rows of the golden logits that are theirs.
fn masked_places(golden: &BTreeMap<String, Tensor>) -> (Inputs, Vec<i64>, Tensor) {
    let (inputs, order) = packed(golden);
    let masked = Vec::<Vec<i64>>::try_from(&golden["masked"]).unwrap();
    let before = |row: usize| masked[..row].iter().flatten().sum::<i64>();
    let (mut places, mut rows, mut start) = (Vec::new(), Vec::new(), 0);
    for (row, length) in Vec::<i64>::try_from(order).unwrap().into_iter().zip(inputs.packing.lengths()) {
        let row = row as usize;
        let own = (0..*length).filter(|place| masked[row][*place as usize] == 1);
        for (number, place) in own.enumerate() {
            places.push(start + place);
            rows.push(before(row) + number as i64);
        }
        start += length;
    }
    (inputs, places, Tensor::from_slice(&rows))
}

#[test]
fn masked_places_have_transformers_logits() {
    for (name, parameters) in GOLDENS {
        let model = load(&golden(name)).unwrap();
        assert_eq!(model.num_parameters(), *parameters - unused(name), "{name}");
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let (inputs, places, rows) = masked_places(&golden);
        let all: Vec<u32> = (0..model.config().vocab_size as u32).collect();
        let states = model.states(&inputs, &places).unwrap();
        let expected = golden["logits"].index_select(0, &rows);
        let logits = model.candidates(&all).unwrap().logits(&states).unwrap();
        let difference = largest_difference(&logits, &expected);
        println!("{name}: logits within {difference:.1e}");
        assert!(difference < 1e-5, "{name}: {difference:e}");

        let few = [7u32, 50, 9, 33];
        let (largest, which) = model.candidates(&few).unwrap().likeliest(&states, 3).unwrap();
        let own = expected.index_select(1, &Tensor::from_slice(&few.map(i64::from)));
        let (expected, order) = own.topk(3, -1, true, true);
        assert!(largest_difference(&largest, &expected) < 1e-5, "{name}");
        assert_eq!(which, order, "{name}");
        let whole = model.candidates(&few).unwrap().likeliest(&states, 9).unwrap();
        assert_eq!(whole.1.size(), [places.len() as i64, 4], "{name}: there are no more than four");
    }
}

/// With a decoder of its own, `transformers` has a bias next to it that is added nowhere.
fn unused(name: &str) -> u64 {
    if ["camembert-masked", "mpnet-masked"].contains(&name) { 61 } else { 0 }
}

#[test]
fn half_the_digits_give_nearly_the_same_logits() {
    for (name, _) in GOLDENS {
        let directory = ModelDirectory::open(&golden(name)).unwrap();
        let model = MaskedLanguageModel::load(&directory, Device::Cpu, Kind::BFloat16).unwrap();
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let (inputs, places, rows) = masked_places(&golden);
        let all: Vec<u32> = (0..model.config().vocab_size as u32).collect();
        let states = model.states(&inputs, &places).unwrap();
        let logits = model.candidates(&all).unwrap().logits(&states).unwrap();
        let difference = largest_difference(&logits, &golden["logits"].index_select(0, &rows));
        assert!(difference < 0.2, "{name}: {difference}");
    }
}

/// Writes a golden model with other weights into a folder of its own.
fn changed(name: &str, change: impl Fn(&mut BTreeMap<String, Tensor>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden(name).join("config.json"), folder.path().join("config.json")).unwrap();
    let mut given = tensors(&golden(name).join("model.safetensors"));
    change(&mut given);
    let given: Vec<(String, Tensor)> = given.into_iter().collect();
    weights::write(&folder.path().join("model.safetensors"), &given).unwrap();
    folder
}

/// Checkpoints of other ages: a decoder's copies next to what they are tied to, a second head of pretraining, a pooler,
/// BERT's first names of a norm.
#[test]
fn checkpoints_of_other_ages_are_the_same_model() {
    let golden_logits = |folder: &Path| {
        let model = load(folder).unwrap();
        let golden = tensors(&golden("bert-masked/golden.safetensors"));
        let (inputs, places, _) = masked_places(&golden);
        let states = model.states(&inputs, &places).unwrap();
        model.candidates(&[5, 6, 7]).unwrap().logits(&states).unwrap()
    };
    let older = changed("bert-masked", |given| {
        let table = given["bert.embeddings.word_embeddings.weight"].copy();
        given.insert("cls.predictions.decoder.weight".to_owned(), table);
        let bias = given["cls.predictions.bias"].copy();
        given.insert("cls.predictions.decoder.bias".to_owned(), bias);
        for (name, shape) in [("cls.seq_relationship.weight", [2, 32]), ("bert.pooler.dense.weight", [32, 32])]
        {
            given.insert(name.to_owned(), Tensor::zeros(shape, (Kind::Float, Device::Cpu)));
        }
        for (new, old) in [("weight", "gamma"), ("bias", "beta")] {
            let norm = "cls.predictions.transform.LayerNorm";
            let tensor = given.remove(&format!("{norm}.{new}")).unwrap();
            given.insert(format!("{norm}.{old}"), tensor);
        }
    });
    assert_eq!(golden_logits(older.path()), golden_logits(&golden("bert-masked")));
}

#[test]
fn what_has_no_such_head_is_refused_with_the_names_looked_for() {
    let refused = |path: &Path, parts: &[&str]| {
        let error = load(path).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.category(), Category::Data, "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let looked_for = "looked for cls.predictions.transform.dense.weight, cls.predictions.transform.dense.bias";
    for name in ["bert-tiny", "bert-tiny-encoder"] {
        refused(&golden(name), &[looked_for, "cls.predictions.bias", "uses word embeddings"]);
    }
    refused(&golden("roberta-tiny"), &["lm_head.dense.weight", "lm_head.layer_norm.weight"]);
    refused(&golden("distilbert-tiny"), &["vocab_transform.weight", "vocab_projector.bias"]);
    refused(&golden("albert-tiny"), &["predictions.dense.weight", "predictions.bias"]);
    // Its classifier has the dense layer too.
    refused(&golden("modernbert-tiny"), &["head.dense.weight", "decoder.bias"]);
    refused(&golden("nomic-bert-tiny"), &["cls.predictions.transform.layer_norm.weight"]);
    let pickled = tempfile::tempdir().unwrap();
    std::fs::copy(golden("bert-masked/config.json"), pickled.path().join("config.json")).unwrap();
    distill_core::atomic::write(&pickled.path().join("pytorch_model.bin"), b"x").unwrap();
    let converts = load(pickled.path()).unwrap_err();
    assert_eq!(converts.category(), Category::Usage);
    assert!(converts.to_string().contains("import AutoModelForMaskedLM as M"), "{converts}");
    let minilm = repository().join("models/all-MiniLM-L6-v2");
    if minilm.exists() {
        refused(&minilm, &[looked_for]);
    }
}

#[test]
fn weights_of_a_head_that_do_not_fit_are_told_by_name() {
    let told = |name: &str, change: &dyn Fn(&mut BTreeMap<String, Tensor>), parts: &[&str]| {
        let folder = changed(name, change);
        let directory = ModelDirectory::open(folder.path()).unwrap();
        let error = MaskedLanguageModel::load(&directory, Device::Cpu, Kind::Float).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let norm = "cls.predictions.transform.LayerNorm.weight";
    told("bert-masked", &|given| drop(given.remove(norm)), &[norm, "is missing"]);
    let bias = "cls.predictions.bias";
    told(
        "bert-masked",
        &|given| drop(given.insert(bias.into(), Tensor::zeros([98], (Kind::Float, Device::Cpu)))),
        &["cls.predictions.bias is [98] Float, expected [99] Float"],
    );
    // Its config says that the decoder is not the table of word vectors.
    let decoder = "lm_head.decoder.weight";
    told("camembert-masked", &|given| drop(given.remove(decoder)), &[decoder, "is missing"]);
    told(
        "roberta-masked",
        &|given| drop(given.insert("roberta.more".into(), Tensor::from(1f32))),
        &["extra roberta.more"],
    );
}
