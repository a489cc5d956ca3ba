//! The newest complete checkpoint is found, whatever the state of the others, and foreign files are not touched.

use super::*;

fn state(global_step: u64) -> State {
    State { global_step, vocabulary_decay: 0.1 + 0.2, loss_sum: 1.0 / 3.0, ..State::default() }
}

fn tensors() -> Vec<(String, Tensor)> {
    vec![("w".to_owned(), Tensor::from_slice(&[1f32, 2.]))]
}

fn names(run: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(run.join(CHECKPOINTS))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn the_newest_is_found_and_old_ones_go() {
    let run = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(run.path(), 2);
    assert!(checkpoints.newest().unwrap().is_none());
    for step in [5, 10, 15] {
        checkpoints.save(&state(step), &tensors()).unwrap();
    }
    assert_eq!(names(run.path()), ["step-000010", "step-000015"]);
    let newest = checkpoints.newest().unwrap().unwrap();
    assert_eq!(newest.state, state(15));
    assert_eq!(newest.tensors["w"], tensors()[0].1);
}

/// A run that validated after its last checkpoint saves the same step again.
#[test]
fn a_step_that_is_saved_again_never_leaves_the_run_without_a_checkpoint() {
    let run = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(run.path(), 1);
    for epoch in 0..3 {
        checkpoints.save(&State { epoch, ..state(5) }, &tensors()).unwrap();
    }
    assert_eq!(names(run.path()), ["step-000005.2"]);
    assert_eq!(checkpoints.newest().unwrap().unwrap().state.epoch, 2);
}

#[test]
fn half_a_checkpoint_is_ignored_and_removed_later_and_foreign_files_stay() {
    let run = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(run.path(), 1);
    checkpoints.save(&state(5), &tensors()).unwrap();
    let directory = run.path().join(CHECKPOINTS);
    for name in [".step-000020.tmp", ".mine.tmp", "step-last", "step-000030"] {
        fs::create_dir(directory.join(name)).unwrap();
    }
    assert_eq!(checkpoints.newest().unwrap().unwrap().state, state(5));
    fs::remove_dir(directory.join("step-000030")).unwrap();
    checkpoints.save(&state(6), &tensors()).unwrap();
    assert_eq!(names(run.path()), [".mine.tmp", "step-000006", "step-last"]);
    checkpoints.clear().unwrap();
    assert_eq!(names(run.path()), [".mine.tmp", "step-last"]);
    fs::remove_dir(directory.join(".mine.tmp")).unwrap();
    fs::remove_dir(directory.join("step-last")).unwrap();
    checkpoints.clear().unwrap();
    assert!(!directory.exists());
    checkpoints.clear().unwrap();
}

#[test]
fn every_changed_bit_is_noticed() {
    let run = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(run.path(), 2);
    checkpoints.save(&state(5), &tensors()).unwrap();
    let newest = checkpoints.save(&state(10), &tensors()).unwrap();
    for name in [STATE_FILE, TENSORS_FILE, MANIFEST_FILE] {
        let file = newest.join(name);
        let whole = fs::read(&file).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            overwrite(&file, &bytes);
            assert!(matches!(load(&newest), Err(Unusable::Damaged(_))), "{name}: bit {bit}");
        }
        assert_eq!(checkpoints.newest().unwrap().unwrap().state.global_step, 5, "{name}");
        overwrite(&file, &whole);
    }
    assert_eq!(checkpoints.newest().unwrap().unwrap().state.global_step, 10);
}

// Without the fsyncs of `atomic`, of which thousands would take minutes.
#[allow(clippy::disallowed_methods)]
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}
