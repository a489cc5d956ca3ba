//! Disk space: an estimate for stores, checkpoints, models and token caches, compared with the free space.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use distill_core::Category;
use distill_data::cache::cache_dir;
use distill_student::TrainSettings;
use distill_student::settings::{Freeze, OptimizerChoice};
use rustix::fs::statvfs;

use super::Checker;
use super::found::Space;
use super::results::nearest;
use crate::connect;
use crate::error::{Result, RunError};
use crate::settings::Settings;
use distill_report::documents::format::bytes;

/// Bytes of a weight.
const WEIGHT: u64 = 4;
/// What a stage writes besides: records, tokenizer, documents.
const BESIDES: u64 = 4 << 20;
/// Of a row in a store or a cache: ids, hashes, numbers.
const OF_ROW: u64 = 48;
/// Bytes of a text for each of its tokens, and of a token in a cache.
const TEXT_OF_TOKEN: u64 = 4;
const TOKEN: u64 = 5;

/// The space of a stage's result, and what it needs in addition while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    stage: &'static str,
    stays: u64,
    passes: u64,
}

impl Checker<'_> {
    /// Compares the need of the stages with the free space.
    pub(super) fn space(&mut self, settings: &Settings) -> Result<()> {
        let needs = self.needs(settings);
        let seeds = self.request.seeds.len().max(1);
        let there: u64 = self.directories(settings).iter().map(|directory| size_of(directory)).sum();
        let mut needed = peak(&needs, seeds).saturating_sub(there);
        let out = nearest(self.request.out);
        let caches =
            if settings.data.cache { self.found.problems.take("data.cache", cache_dir())? } else { None };
        let cached = self.cached(settings, seeds as u64);
        if let Some(caches) = caches.map(|directory| nearest(&directory)) {
            if device(&caches) == device(&out) {
                needed += cached;
            } else {
                self.compare("data.cache", &caches, cached, "token caches; data.cache = false turns them off");
            }
        }
        let largest = needs.iter().max_by_key(|need| need.stays + need.passes);
        let hint = largest.map_or(String::new(), |need| {
            let (stage, bytes) = (need.stage, bytes(need.stays + need.passes));
            format!(
                "{stage} alone needs {bytes}; keep fewer checkpoints (keep_last) or use another disk (--out)"
            )
        });
        self.compare("out", &out, needed, &hint);
        Ok(())
    }

    /// Records needed and free space, and a problem if there is too little.
    fn compare(&mut self, place: &str, directory: &Path, needed: u64, hint: &str) {
        let free = match statvfs(directory) {
            Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
            Err(error) => {
                tracing::debug!("{}: {error}", directory.display());
                return;
            }
        };
        if needed > free {
            let (name, needed, free) = (directory.display(), bytes(needed), bytes(free));
            let what = format!("{name}: about {needed} needed, but only {free} free ({hint})");
            self.found.problems.add(place, RunError::of(Category::Io, what));
        }
        self.found.space.push(Space { directory: directory.to_owned(), needed, free });
    }

    /// The stages in their order.
    fn needs(&self, settings: &Settings) -> Vec<Need> {
        let mut needs = Vec::new();
        let copies = 1 + u64::from(settings.augment.copies);
        let (rows, texts) = self.rows_to_label(settings);
        if let (true, Some(model)) = (connect::pretrains(settings), self.found.parameters_of("pretrain.model"))
        {
            needs.push(training(connect::PRETRAINED, model, &settings.pretrain.train));
        }
        if let (Some(_), Some(teacher)) = (&settings.finetune.model, self.found.parameters_of("finetune.model"))
        {
            needs.push(training("teacher", teacher, &settings.finetune.train));
        }
        if settings.augment.adds_rows() {
            needs.push(Need { stage: "augmented", stays: texts * copies, passes: 0 });
        }
        if self.is_taught(settings) {
            let labels = self.labels.as_ref().map_or(2, |labels| labels.num_labels() as u64);
            let logit = if settings.teacher.float16 { 2 } else { 4 };
            let of_texts = if settings.teacher.text { texts } else { 0 };
            let stays = copies * (rows * (labels * logit + OF_ROW) + of_texts);
            needs.push(Need { stage: "targets", stays, passes: 0 });
        }
        for (stage, student) in ["student", "baseline"].into_iter().zip(&self.found.students) {
            let need = training(stage, student.parameters, &student.train);
            needs.push(Need { stays: need.stays * self.request.students, ..need });
        }
        needs
    }

    /// Rows that the teacher reads, without copies, and the bytes of their files.
    fn rows_to_label(&self, settings: &Settings) -> (u64, u64) {
        let files = settings.data.train.iter().chain(&settings.augment.unlabelled);
        let read = files.filter_map(|path| self.rows.get(path)?.as_ref());
        read.fold((0, 0), |(rows, bytes), (source, summary)| {
            (rows + summary.rows, bytes + size_of(source.path()))
        })
    }

    /// Token caches: of the teacher's fine-tuning, and of the student with its soft targets, which each seed has.
    fn cached(&self, settings: &Settings, seeds: u64) -> u64 {
        let (rows, texts) = self.rows_to_label(settings);
        let tokens = (texts / TEXT_OF_TOKEN + 2 * rows).min(rows * self.length() as u64);
        let labels = self.labels.as_ref().map_or(2, |labels| labels.num_labels() as u64);
        let one = tokens * TOKEN + rows * OF_ROW;
        let students = one * (1 + u64::from(settings.augment.copies)) + rows * labels * 4;
        if settings.finetune.model.is_some() { one + seeds * students } else { students }
    }
}

/// A model, and the checkpoints of its training: weights, what the optimizer keeps, the best weights so far.
fn training(stage: &'static str, parameters: u64, train: &TrainSettings) -> Need {
    let moments = match (train.freeze, train.optimizer) {
        (Freeze::Encoder, _) => 0,
        (_, OptimizerChoice::Sgd | OptimizerChoice::Lion) => 1,
        _ => 2,
    };
    let mean = u64::from(train.ema_decay > 0.0);
    let checkpoint = parameters * WEIGHT * (2 + moments + mean);
    // A new checkpoint is whole before the oldest one goes.
    let kept = (train.keep_last as u64).saturating_add(1);
    Need { stage, stays: parameters * WEIGHT + BESIDES, passes: checkpoint.saturating_mul(kept) }
}

/// The most that stages hold at once, run one after the other with each of several seeds.
fn peak(needs: &[Need], seeds: usize) -> u64 {
    let (mut held, mut most) = (0u64, 0u64);
    for need in needs.iter().cycle().take(needs.len() * seeds) {
        held = held.saturating_add(need.stays);
        most = most.max(held.saturating_add(need.passes));
    }
    most
}

/// Bytes of a file, or of all files below a directory; unreadable files count as 0.
fn size_of(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return std::fs::metadata(path).map_or(0, |file| file.len());
    }
    let entries: Vec<PathBuf> =
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.iter().map(|entry| if entry.is_symlink() { 0 } else { size_of(entry) }).sum()
}

fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_pass_and_models_stay() {
        let of = |stage, stays, passes| Need { stage, stays, passes };
        let needs = [of("teacher", 10, 100), of("student", 5, 40)];
        assert_eq!(peak(&needs, 1), 110);
        assert_eq!(peak(&needs, 3), 2 * 15 + 110);
        let train = TrainSettings { keep_last: 2, ..TrainSettings::default() };
        let need = training("student", 1000, &train);
        // Weights, two moments, the best weights; two that are kept and one that is being written.
        assert_eq!(need.passes, 3 * 4000 * 4);
        assert_eq!(training("student", 1, &TrainSettings { keep_last: usize::MAX, ..train }).passes, u64::MAX);
    }

    #[test]
    fn a_directory_is_as_large_as_its_files() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        distill_core::atomic::write(&root.path().join("a/b"), &[0; 70]).unwrap();
        distill_core::atomic::write(&root.path().join("c"), &[0; 7]).unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
        assert_eq!(size_of(root.path()), 77);
        assert_eq!(size_of(&root.path().join("none")), 0);
    }
}
