//! Methods from the outside: what is refused and why, what stays as it was, and where soft targets come from.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use crate::files::{jsonl, rows};
use crate::harness::{Run, Work};

fn student(work: &Work, more: &str) -> Run {
    work.run(&format!("student --targets targets --init tiny --epochs 2 --batch-size 8 {more}"))
}

/// The bytes of each tensor.
fn tensors(work: &Work, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = work.bytes(&format!("{directory}/model.safetensors"));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

/// Names of the tensors that training left as they were.
fn unmoved(work: &Work, out: &str) -> Vec<String> {
    let (before, after) = (tensors(work, "tiny"), tensors(work, &format!("{out}/model")));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    before.into_iter().filter(|(name, bytes)| after[name] == *bytes).map(|(name, _)| name).collect()
}

#[test]
fn every_loss_optimizer_and_schedule_trains() {
    let work = Work::with_targets();
    for loss in ["kl", "reverse_kl", "js", "mse", "dkd", "dist", "bce"] {
        student(&work, &format!("--loss {loss} --out {loss}")).succeeds();
    }
    for optimizer in ["adam", "sgd", "lion", "lamb"] {
        student(&work, &format!("--optimizer {optimizer} --out {optimizer}")).succeeds();
    }
    for schedule in ["constant", "cosine", "one_cycle", "inverse_sqrt"] {
        student(&work, &format!("--schedule {schedule} --out {schedule}")).succeeds();
    }
    let odd = "--set student.class_weights=balanced --set student.label_smoothing=0.1 \
               --set student.standardize_logits=true --set student.head_learning_rate=1e-3";
    student(&work, &format!("{odd} --out odd")).succeeds().says("[smoothed by 0.1, classes balanced]");
    // Each is another run: none of the settings is ignored.
    let names = ["kl", "reverse_kl", "js", "mse", "dkd", "dist", "bce", "adam", "sgd", "lion", "lamb", "odd"];
    let mut models: Vec<Vec<u8>> =
        names.iter().map(|name| work.bytes(&format!("{name}/model/model.safetensors"))).collect();
    models.sort();
    models.dedup();
    assert_eq!(models.len(), names.len());
}

#[test]
fn frozen_parameters_keep_their_bits() {
    let work = Work::with_targets();
    let all = tensors(&work, "tiny").into_keys().collect::<Vec<_>>();
    let count = |part: &dyn Fn(&str) -> bool| all.iter().filter(|name| part(name)).count();
    let decay = "--set student.weight_decay=0.5 --learning-rate 1e-3";
    student(&work, &format!("{decay} --out full")).succeeds();
    assert_eq!(unmoved(&work, "full"), Vec::<String>::new());

    student(&work, &format!("{decay} --freeze embeddings --out embeddings")).succeeds();
    let still = unmoved(&work, "embeddings");
    assert!(still.iter().all(|name| name.contains("embeddings")), "{still:?}");
    assert_eq!(still.len(), count(&|name| name.contains("embeddings")));

    student(
        &work,
        &format!("{decay} --set student.train_last_layers=1 --set student.ema_decay=0.9 --out last"),
    )
    .succeeds();
    let still = unmoved(&work, "last");
    let below = |name: &str| ["embeddings", "layer.0.", "layer.1."].iter().any(|part| name.contains(part));
    assert_eq!(still.len(), count(&below));
    assert!(still.iter().all(|name| below(name)), "{still:?}");

    student(&work, &format!("{decay} --freeze encoder --out encoder")).succeeds();
    let still = unmoved(&work, "encoder");
    let encoder = |name: &str| name.contains("embeddings") || name.contains("encoder");
    assert_eq!(still.len(), count(&encoder));
    assert!(still.iter().all(|name| encoder(name)), "{still:?}");

    // In two epochs gradual unfreezing reaches the head and the last layer; weight decay and the mean of the weights, too.
    let gradual = "--set student.gradual_unfreezing=true --set student.ema_decay=0.9";
    student(&work, &format!("{decay} {gradual} --out gradual")).succeeds();
    let still = unmoved(&work, "gradual");
    assert_eq!(still.len(), count(&below));
    assert!(still.iter().all(|name| below(name)), "{still:?}");
}

#[test]
fn losses_without_information_for_two_labels_are_refused_with_the_reason() {
    let work = Work::new();
    let mut two = rows(40, "r");
    // Names that the golden model does not know, so that the teacher gets a head for these two.
    for (place, row) in two.iter_mut().enumerate() {
        row.label = Some(["no", "yes"][place % 2].to_owned());
    }
    work.write("two.jsonl", jsonl(&two));
    work.run("finetune --model tiny --data two.jsonl --epochs 1 --out ft").succeeds();
    work.run("teacher --model ft/model --data two.jsonl --out targets").succeeds();
    for (more, part) in [
        ("--loss dkd", "loss = \"dkd\" cannot be used with two labels: next to the target there is one label"),
        ("--loss dist", "loss = \"dist\" cannot be used with two labels"),
        ("--set student.standardize_logits=true", "standardize_logits = true cannot be used with two labels"),
    ] {
        let run = work.run(&format!("student --targets targets --init ft/model {more} --out st"));
        run.fails(2, &[part]);
        assert!(!work.path("st").exists());
    }
}

#[test]
fn several_teachers_are_averaged_and_their_labels_must_agree() {
    let work = Work::with_targets();
    work.run("finetune --model tiny --data rows.jsonl --epochs 3 --learning-rate 1e-3 --out ft").succeeds();
    work.run("teacher --model ft/model --data rows.jsonl --out second").succeeds();
    let both = "--targets second --layers 0";
    student(&work, &format!("{both} --out logits")).succeeds();
    student(&work, &format!("{both} --set student.average=probabilities --out probabilities")).succeeds();
    student(&work, &format!("{both} --set student.teacher_weights=[3,1] --out weighted")).succeeds();
    student(&work, "--layers 0 --out one").succeeds();
    let model = |name: &str| work.bytes(&format!("{name}/model/model.safetensors"));
    let mut models = ["logits", "probabilities", "weighted", "one"].map(model);
    models.sort();
    assert!(models.windows(2).all(|pair| pair[0] != pair[1]));
    // The same teacher twice is that teacher.
    work.run("teacher --model tiny --data rows.jsonl --out again").succeeds();
    student(&work, "--targets again --layers 0 --out twice").succeeds();
    assert!(model("twice") == model("one"));
    student(&work, &format!("{both} --set student.teacher_weights=[1] --out bad"))
        .fails(2, &["teacher_weights", "for 2 stores"]);
    for weights in ["[-3,0,7]", "[1,1]", "[0]"] {
        student(&work, &format!("--set student.teacher_weights={weights} --out bad"))
            .fails(2, &["teacher_weights is [", "for 1 store, expected a number above 0 for each store"]);
    }
    assert!(!work.path("bad").exists());
    work.write("fewer.jsonl", jsonl(&rows(39, "r")));
    work.run("teacher --model ft/model --data fewer.jsonl --out fewer").succeeds();
    student(&work, "--targets fewer --out bad").fails(65, &["id \"r39\"", "is not in fewer"]);
}

#[test]
fn intermediate_losses_train_next_to_the_teacher_and_are_not_part_of_the_model() {
    let work = Work::with_targets();
    let inside =
        "--teacher-model tiny --layers 0,2 --set student.hidden_weight=1 --set student.relation_weight=0.5";
    student(&work, &format!("{inside} --set student.attention_weight=1 --out same"))
        .succeeds()
        .says("mean of (student_states − teacher_states)² [layers uniform]")
        .says("terms at the first step: labels 0.5 · ");
    student(&work, &format!("{inside} --hidden-size 16 --set student.layer_map=0:1,1:2 --out narrow"))
        .succeeds();
    student(&work, "--layers 0,2 --hidden-size 16 --out plain").succeeds();
    let names = |out: &str| tensors(&work, &format!("{out}/model")).into_keys().collect::<Vec<_>>();
    assert_eq!(names("narrow"), names("plain"), "the projection is no part of the model");
    assert!(tensors(&work, "narrow/model") != tensors(&work, "plain/model"));
    student(&work, &format!("{inside} --set student.hidden_weight=1e5 --out far"))
        .succeeds()
        .says("which has almost no effect");
    // A student deeper than its teacher: the last layers of both are there to be compared.
    work.write("deep.json", work.read("tiny/config.json").replace("_layers\": 3", "_layers\": 4"));
    let deep = "student --targets targets --init deep.json --tokenizer tiny --teacher-model tiny --epochs 1";
    work.run(&format!("{deep} --set student.relation_weight=1 --out deep")).succeeds();
    work.run(&format!("{deep} --set student.hidden_weight=1 --out bad"))
        .fails(2, &["the student has 4 layers and the teacher 3"]);
    for (more, part) in [
        ("--set student.hidden_weight=1", "--teacher-model is missing"),
        (
            "--teacher-model tiny --set student.hidden_weight=1 --set student.layer_map=0:9",
            "the teacher 0 to 2",
        ),
        ("--set student.layer_map=middle", "is not a layer map"),
        ("--teacher-model tiny --set student.relation_weight=1 --freeze encoder", "which train the encoder"),
        ("--set student.hidden_weight=-1", "hidden_weight is -1"),
    ] {
        student(&work, &format!("{more} --out bad")).fails(2, &[part]);
        assert!(!work.path("bad").exists(), "{more}");
    }
    work.run("finetune --model tiny --data rows.jsonl --set finetune.hidden_weight=1 --out bad")
        .fails(2, &["fine-tuning has no teacher"]);
    let other = work.path("other");
    std::fs::create_dir(&other).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        std::fs::copy(work.path("tiny").join(name), other.join(name)).unwrap();
    }
    work.write("other/tokenizer.json", work.read("tiny/tokenizer.json") + " ");
    student(&work, &format!("{} --out bad", inside.replace("tiny", "other")))
        .fails(2, &["is not the student's"]);
}

#[test]
fn gradient_accumulation_keeps_the_rows_of_a_step_and_dist_refuses_it() {
    let work = Work::with_targets();
    student(&work, "--out whole").succeeds();
    student(&work, "--batch-tokens 40 --out parts").succeeds();
    let last = |out: &str| work.json_lines(&format!("{out}/metrics.jsonl")).pop().unwrap();
    let (whole, parts) = (last("whole"), last("parts"));
    assert_eq!(whole["global_step"], parts["global_step"]);
    let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
    assert!((loss(&whole) - loss(&parts)).abs() < 1e-4, "{whole} {parts}");
    student(&work, "--loss dist --set student.batch_tokens=40 --out bad")
        .fails(2, &["batch_tokens is 40 with loss \"dist\"", "needs the whole batch"]);
}

#[test]
fn a_double_or_missing_class_balance_is_reported() {
    let work = Work::with_targets();
    let twice = "--set student.class_weights=balanced --set student.sampling=balanced";
    student(&work, &format!("{twice} --out twice")).succeeds().says("both balance the classes");
    let one = student(&work, "--set student.sampling=balanced --out one").succeeds();
    assert!(!one.stderr.contains("both balance"), "{}", one.shown());
    let mut bare = rows(40, "r");
    bare.iter_mut().for_each(|row| row.label = None);
    work.write("bare.jsonl", jsonl(&bare));
    work.run("teacher --model tiny --data bare.jsonl --out bare").succeeds();
    work.run("student --targets bare --init tiny --epochs 1 --set student.sampling=balanced --out none")
        .fails(2, &["sampling is balanced where no training row has a label, expected \"uniform\""]);
    assert!(!work.path("none").exists());
}

#[test]
fn the_error_for_class_weights_lists_the_valid_values() {
    let work = Work::with_targets();
    student(&work, "--set student.class_weights=inverse --out bad")
        .fails(2, &["class_weights", "expected \"none\", \"balanced\" or a list with a number for each label"]);
    student(&work, "--set student.class_weights=[1,2,1,1,0.5] --out given").succeeds();
}

#[test]
fn soft_targets_and_states_of_different_teachers_are_reported() {
    let work = Work::with_targets();
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    let what =
        "the weights of the teacher model ft/model are not those that the soft targets in targets come from";
    let inside = "--layers 0,2 --set student.hidden_weight=1";
    student(&work, &format!("{inside} --teacher-model ft/model --out other")).succeeds().says(what);
    student(&work, "--teacher-model ft/model --out unused").succeeds().says(what);
    let same = student(&work, &format!("{inside} --teacher-model tiny --out same")).succeeds();
    assert!(!same.stderr.contains("the weights of the teacher model"), "{}", same.shown());
}

/// States can be learned from where there is neither a label nor a soft loss, as in TinyBERT's first stage.
#[test]
fn an_intermediate_loss_by_itself_trains_on_rows_without_labels() {
    let work = Work::new();
    let rows = crate::files::rows(40, "r");
    let line = |(at, row): (usize, &crate::files::Row)| {
        let label = row.label.as_ref().filter(|_| at % 2 == 0);
        format!("{}\n", serde_json::json!({"id": row.id, "text": row.text, "label": label}))
    };
    work.write("rows.jsonl", rows.iter().enumerate().map(line).collect::<String>());
    work.run("teacher --model tiny --data rows.jsonl --max-length 32 --out targets").succeeds();
    let student = "student --targets targets --init tiny --teacher-model tiny --layers 0,2 --epochs 1 --max-length 32 \
                   --hard-weight 0 --soft-weight 0 --set student.hidden_weight=1";
    work.run(&format!("{student} --out st")).succeeds();
    assert!(
        work.json("st/run.json")["results"]["train_rows"].as_u64().unwrap() > 30,
        "rows without labels count"
    );
    // No label reaches the head, so no figure of validation can choose an epoch: the last one is kept.
    work.run(&format!("{} --epochs 3 --out three", student.replace("--epochs 1 ", ""))).succeeds();
    assert_eq!(work.json("three/run.json")["results"]["best_epoch"], 3);
    // A teacher is fine-tuned on labels alone: the others are left out.
    let run =
        work.run("finetune --model tiny --data rows.jsonl --epochs 1 --max-length 32 --out ft").succeeds();
    assert!(run.stderr.contains("20 of 38 training rows have no label and are skipped"), "{}", run.shown());
    assert_eq!(work.json("ft/run.json")["results"]["train_rows"], 18);
}
