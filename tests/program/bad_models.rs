//! Model directories that cannot be used.

use safetensors::tensor::Dtype;
use serde_json::json;

use crate::files::{copy_model, with_json, with_weights};
use crate::harness::Work;

/// By turns, the commands that read a model must refuse it with this line and leave nothing.
fn refused(work: &Work, model: &str, code: i32, parts: &[&str]) {
    let arguments = [
        "finetune --data rows.jsonl --epochs 1 --out out",
        "teacher --data rows.jsonl --out out",
        "report --data test.jsonl --out out",
        "predict --data test.jsonl --out p.csv",
    ][model.len() % 4];
    work.run(&format!("{arguments} --model {model}")).fails(code, parts);
    assert!(!work.path("out").exists() && !work.path("p.csv").exists(), "{arguments}");
}

#[test]
fn configs_that_cannot_be_read_or_built() {
    let work = Work::with_rows();
    refused(&work, "none", 2, &["none is neither a directory nor a model from the Hugging Face hub"]);
    copy_model(&work, "text");
    work.write("text/config.json", "model_type: bert");
    refused(&work, "text", 65, &["text/config.json: not JSON"]);
    with_json(&work, "other", "config.json", |config| config["model_type"] = json!("gpt2"));
    refused(&work, "other", 65, &["other/config.json", "\"gpt2\"", "supported: bert, roberta"]);
    with_json(&work, "act", "config.json", |config| config["hidden_act"] = json!("mish"));
    refused(&work, "act", 65, &["act/config.json: hidden_act = mish is not supported", "gelu"]);
    with_json(&work, "size", "config.json", |config| config["hidden_size"] = json!("32"));
    refused(&work, "size", 65, &["size/config.json: hidden_size is \"32\""]);
    with_json(&work, "heads", "config.json", |config| config["num_attention_heads"] = json!(5));
    refused(&work, "heads", 65, &["heads/config.json", "not a multiple of num_attention_heads 5"]);
    with_json(&work, "labels", "config.json", |config| config["id2label"] = json!({"0": "a", "2": "b"}));
    refused(&work, "labels", 65, &["labels/config.json", "label ids must be 0 to 1"]);
    with_json(&work, "relative", "config.json", |config| {
        config["position_embedding_type"] = json!("relative_key")
    });
    refused(&work, "relative", 65, &["position_embedding_type = relative_key is not supported"]);
}

#[test]
fn tokenizers_that_cannot_be_read_or_do_not_match_the_model() {
    let work = Work::with_rows();
    copy_model(&work, "text");
    work.write("text/tokenizer.json", "{\"version\": ");
    refused(&work, "text", 65, &["text/tokenizer.json is not a usable tokenizer file"]);
    copy_model(&work, "none");
    std::fs::remove_file(work.path("none/tokenizer.json")).unwrap();
    std::fs::remove_file(work.path("none/vocab.txt")).unwrap();
    refused(&work, "none", 2, &["none has no tokenizer", "tokenizer.json"]);
    with_json(&work, "large", "tokenizer.json", |tokenizer| tokenizer["model"]["vocab"]["beyond"] = json!(99));
    refused(&work, "large", 65, &["large", "token ids up to 99", "vocabulary ends at 98"]);
}

#[test]
fn weights_that_do_not_fit() {
    let work = Work::with_rows();
    let (head, query) = ("classifier.weight", "bert.encoder.layer.1.attention.self.query.weight");
    with_weights(&work, "missing", |tensors| drop(tensors.remove(query)));
    refused(&work, "missing", 65, &["missing", query, "[32, 32] is missing"]);
    with_weights(&work, "without_head", |tensors| drop(tensors.remove(head)));
    refused(&work, "without_head", 65, &["without_head", head, "[5, 32] is missing"]);
    with_weights(&work, "extra", |tensors| {
        tensors.insert("bert.encoder.layer.3.output.dense.bias".to_owned(), (Dtype::F32, vec![2], vec![0; 8]));
    });
    refused(&work, "extra", 65, &["extra bert.encoder.layer.3.output.dense.bias"]);
    with_weights(&work, "shape", |tensors| tensors.get_mut(query).unwrap().1 = vec![16, 64]);
    refused(&work, "shape", 65, &[query, "is [16, 64] Float, expected [32, 32]"]);
    with_weights(&work, "kind", |tensors| {
        let (dtype, shape, data) = tensors.get_mut(query).unwrap();
        (*dtype, *data) = (Dtype::I64, vec![0; 8 * shape.iter().product::<usize>()]);
    });
    refused(&work, "kind", 65, &[query, "Int64", "expected [32, 32] Float"]);
    copy_model(&work, "cut");
    let whole = work.bytes("cut/model.safetensors");
    work.write("cut/model.safetensors", &whole[..whole.len() - 100]);
    refused(&work, "cut", 65, &["cut/model.safetensors: not a complete safetensors file"]);
    copy_model(&work, "none");
    std::fs::remove_file(work.path("none/model.safetensors")).unwrap();
    refused(&work, "none", 2, &["none", "model.safetensors"]);
    work.write("none/pytorch_model.bin", "pickled");
    refused(&work, "none", 2, &["pytorch_model.bin is never unpickled", "save_pretrained"]);
}

#[test]
fn an_encoder_without_a_head_is_not_a_teacher_but_can_be_fine_tuned() {
    let work = Work::with_rows();
    copy_model(&work, "encoder");
    let golden = std::path::Path::new(crate::harness::TINY).with_file_name("bert-tiny-encoder");
    for file in ["config.json", "model.safetensors"] {
        work.write(&format!("encoder/{file}"), std::fs::read(golden.join(file)).unwrap());
    }
    for arguments in [
        "teacher --model encoder --data rows.jsonl --out out",
        "report --model encoder --data rows.jsonl --out out",
        "predict --model encoder --data rows.jsonl --out p.csv",
    ] {
        work.run(arguments).fails(65, &["encoder", "no classification head", "distill finetune"]);
    }
    work.run("finetune --model encoder --data rows.jsonl --epochs 1 --out ft")
        .succeeds()
        .says("fresh weights: classifier");
    work.run("teacher --model ft/model --data rows.jsonl --out targets").succeeds();
}

#[test]
fn nan_weights_are_refused_with_the_name_of_the_tensor() {
    let work = Work::with_rows();
    let nan = f32::NAN.to_le_bytes().repeat(32);
    with_weights(&work, "nan", |tensors| {
        tensors.get_mut("bert.pooler.dense.bias").unwrap().2 = nan;
    });
    // No row has the last word of the vocabulary, and nothing computed would show that its vector is none.
    with_weights(&work, "inf", |tensors| {
        let words = &mut tensors.get_mut("bert.embeddings.word_embeddings.weight").unwrap().2;
        let last = words.len() - 4;
        words[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    for (model, tensor) in
        [("nan", "bert.pooler.dense.bias"), ("inf", "bert.embeddings.word_embeddings.weight")]
    {
        for arguments in [
            "teacher --data rows.jsonl --out out",
            "predict --data test.jsonl --out p.csv",
            "report --data test.jsonl --out out",
            "finetune --data rows.jsonl --epochs 1 --out out",
        ] {
            let run = work.run(&format!("{arguments} --model {model}"));
            run.fails(65, &["model.safetensors", tensor, "NaN or infinity"]);
        }
    }
    assert!(!work.path("out").exists() && !work.path("p.csv").exists());
}

/// Broken in the middle of attention, where a kernel that drops what is no number gives plausible logits.
#[test]
fn nan_in_attention_scores_is_refused() {
    let work = Work::with_rows();
    let weight = |part: &str| format!("bert.encoder.layer.1.attention.self.{part}.weight");
    with_weights(&work, "huge", |tensors| {
        for part in ["query", "key"] {
            for number in tensors.get_mut(&weight(part)).unwrap().2.chunks_mut(4) {
                let value = f32::from_le_bytes(number.try_into().unwrap());
                number.copy_from_slice(&(value * 1e22).to_le_bytes());
            }
        }
    });
    let run = work.run("predict --model huge --data test.jsonl --out p.csv --dtype f32");
    run.fails(70, &["\"t0\"", "not finite"]);
    assert!(!work.path("p.csv").exists());
}

#[test]
fn a_row_with_nan_logits_is_named() {
    let work = Work::with_rows();
    work.write(
        "rows.jsonl",
        work.read("rows.jsonl") + "{\"id\": \"bad one\", \"text\": \"9\", \"label\": \"beta\"}\n",
    );
    let vocabulary = work.read("tiny/vocab.txt");
    let token = vocabulary.lines().position(|line| line == "9").unwrap();
    // Each is a number, and their mean is none.
    with_weights(&work, "huge", |tensors| {
        let words = &mut tensors.get_mut("bert.embeddings.word_embeddings.weight").unwrap().2;
        let row = &mut words[token * 32 * 4..(token + 1) * 32 * 4];
        for (place, number) in row.chunks_mut(4).enumerate() {
            let value = if place < 24 { f32::MAX } else { f32::MIN };
            number.copy_from_slice(&value.to_le_bytes());
        }
    });
    work.run("teacher --model huge --data rows.jsonl --out out").fails(70, &["\"bad one\"", "not finite"]);
    assert!(!work.path("out").exists());
}

#[test]
fn a_student_with_other_labels_gets_a_new_head_and_says_so() {
    let work = Work::with_targets();
    let swapped = json!({"0": "beta", "1": "alpha", "2": "gamma", "3": "delta", "4": "epsilon"});
    with_json(&work, "swapped", "config.json", |config| config["id2label"] = swapped);
    let run = work.run("student --targets targets --init swapped --layers 0 --epochs 1 --out st");
    run.succeeds().says("fresh weights: classifier.weight, classifier.bias");
    assert_eq!(
        work.json("st/model/config.json")["id2label"]["0"],
        "alpha",
        "the teacher's map is the student's"
    );
    let report = work.run("report --model teacher=tiny --model student=swapped --data test.jsonl --out out");
    report.fails(65, &["label", "teacher", "0=alpha, 1=beta", "student", "0=beta, 1=alpha"]);
    assert!(!work.path("out").exists());
}

#[test]
fn layers_that_do_not_exist() {
    let work = Work::with_targets();
    for (layers, shown) in [("0,3", "[0, 3]"), ("1,1", "[1, 1]")] {
        let run = work.run(&format!("student --targets targets --init tiny --layers {layers} --out st"));
        run.fails(2, &[shown, "0 to 2"]);
    }
    assert!(!work.path("st").exists());
}
