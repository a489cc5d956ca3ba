//! `distill student`: soft-target store → student.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::atomic::FileError;
use distill_core::hash::file_hash;
use distill_core::record::RunRecord;
use distill_data::logits::{Fingerprint, MANIFEST_FILE, Store, find_stores};
use distill_model::ModelDirectory;
use distill_model::student::Shape;
use distill_student::TrainSettings;
use distill_student::trainer::check_soft_targets;
use distill_torch::rng;
use serde_json::{Value, json};

use crate::args::Student;
use crate::commands::outdir::OutDir;
use crate::commands::stage::{self, Finished, Stage};
use crate::commands::{finetune, inputs, training};
use crate::exit::{Failure, Status};
use crate::session::Session;
use crate::settings::Settings;
use crate::settings::flags::Flags;
use crate::signals::stop_signal;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &Student) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    session.must_train_in_f32()?;
    let stage = StudentStage::new(&settings, args.data.clone());
    stage::run_alone(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// The stage with its settings.
pub struct StudentStage<'a> {
    settings: &'a Settings,
    train: TrainSettings,
    init: Option<PathBuf>,
    rows: Option<PathBuf>,
}

impl<'a> StudentStage<'a> {
    /// A student by `[student]`. `rows` are those of a store without texts.
    pub fn new(settings: &'a Settings, rows: Option<PathBuf>) -> Self {
        let student = &settings.student;
        StudentStage { settings, train: student.train.clone(), init: student.start.init.clone(), rows }
    }

    /// The same student without a teacher.
    pub fn without_teacher(settings: &'a Settings, rows: Option<PathBuf>) -> Self {
        let init = settings.student.start.baseline_init.clone();
        let same = Self::new(settings, rows);
        StudentStage { train: same.train.without_teacher(), init: init.or(same.init), ..same }
    }

    fn store(&self) -> anyhow::Result<Store> {
        let start = &self.settings.student.start;
        let path = inputs::required(start.targets.as_ref(), "--targets", "student.targets")?;
        if let Ok(found) = find_stores(path)
            && found.stores.len() + found.missing.len() > 1
        {
            bail!(Failure::usage(format!(
                "{} holds the shards of a teacher pass; make one store of them with `distill targets merge`",
                path.display()
            )));
        }
        Ok(Store::open(path)?.stopped_by(stop_signal()))
    }

    /// Rows of a store without texts must be those that its logits were computed of.
    fn rows_hash(&self, rows: &Path, store: &Store) -> anyhow::Result<String> {
        let hash = inputs::source(rows, &self.settings.data)?.hash()?;
        let theirs = Fingerprint { dataset: hash.clone(), ..store.fingerprint().clone() };
        let name = store.directory().display().to_string();
        store.fingerprint().must_equal(&name, &theirs, &rows.display().to_string())?;
        Ok(hash)
    }

    fn init(&self) -> anyhow::Result<ModelDirectory> {
        inputs::model(inputs::required(self.init.as_ref(), "--init", "student.init")?)
    }

    fn tokenizer_directory<'b>(&'b self, init: &'b ModelDirectory) -> &'b Path {
        self.settings.student.start.tokenizer.as_deref().unwrap_or(init.path())
    }
}

impl Stage for StudentStage<'_> {
    fn command(&self) -> &'static str {
        "student"
    }

    fn settings(&self, session: &Session) -> anyhow::Result<Value> {
        self.train.check()?;
        training::check_validation(&self.settings.data)?;
        let mut student = serde_json::to_value(&self.train)?;
        if let (Some(student), Value::Object(start)) =
            (student.as_object_mut(), serde_json::to_value(&self.settings.student.start)?)
        {
            student.extend(start.into_iter().filter(|(key, _)| key != "no_teacher_baseline"));
        }
        Ok(json!({"data": finetune::data_settings(self.settings)?, "student": student, "seed": session.seed}))
    }

    fn inputs(&self, _session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        let store = self.store()?;
        let manifest = store.directory().join(MANIFEST_FILE);
        let init = self.init()?;
        let tokenizer =
            inputs::tokenizer(self.tokenizer_directory(&init), self.settings.data.max_length, init.config())?;
        let init_hash = if init.has_weights() { init.weights_hash()? } else { "config.json alone".to_owned() };
        let mut hashes = BTreeMap::from([
            ("init".to_owned(), init_hash),
            (
                "init_config".to_owned(),
                distill_core::hash::bytes_hash(init.config().to_json().to_string().as_bytes()),
            ),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            // The manifest holds the hash of every shard.
            ("targets".to_owned(), file_hash(&manifest).map_err(FileError::of("read", &manifest))?),
        ]);
        // One by one, so that a run which goes on with another store says what differs.
        let fields = store.fingerprint().fields();
        hashes.extend(fields.map(|(field, value)| (format!("fingerprint.{field}"), value)));
        if let Some(rows) = &self.rows {
            hashes.insert("data".to_owned(), self.rows_hash(rows, &store)?);
        }
        finetune::add_validation(&mut hashes, self.settings)?;
        Ok(hashes)
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        let data = &self.settings.data;
        let store = self.store()?;
        let labels = store.fingerprint().label_map.clone();
        let init = self.init()?;
        let tokenizer = inputs::tokenizer(self.tokenizer_directory(&init), data.max_length, init.config())?;
        check_max_length(&store, data.max_length)?;
        if init.has_weights() && init.config().has_classifier() && init.config().labels != labels {
            let theirs = &init.config().labels;
            tracing::warn!(
                "--init tells {theirs} apart, the teacher {labels}: the student's head starts afresh"
            );
        }
        rng::manual_seed(session.seed);
        let start = &self.settings.student.start;
        let shape = Shape { layers: start.layers.as_deref(), hidden_size: start.hidden_size };
        let model = distill_model::student::initialize(&init, shape, &labels, session.device)?;

        let caches = training::caches(data)?;
        let builder = training::builder(&tokenizer, &labels, caches.as_deref(), session);
        let targets_hash = record.inputs.get("targets").cloned().unwrap_or_default();
        let part = match &self.rows {
            None => builder.from_store(&store, &targets_hash)?,
            Some(rows) => {
                let source = inputs::source(rows, data)?;
                inputs::scan_labels(&source, &labels, session)?;
                builder.from_join(&source, &source.hash()?, &store, &targets_hash)?
            }
        };
        check_soft_targets(&part, labels.num_labels())?;
        let parts = training::with_validation(part, data, &builder, session)?;
        training::Job {
            session,
            settings: &self.train,
            data: &parts,
            model: &model,
            tokenizer: &tokenizer,
            out,
            record,
        }
        .run()
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        Ok(stage::first_missing(out, training::RESULT))
    }

    fn clean_up(&self, out: &OutDir) -> anyhow::Result<()> {
        training::remove_checkpoints(out)
    }

    fn has_left_overs(&self, out: &Path) -> bool {
        training::has_checkpoints(out)
    }
}

/// A student may read less of a text than its teacher did, but it should be on purpose.
fn check_max_length(store: &Store, max_length: usize) -> anyhow::Result<()> {
    let teachers = store.fingerprint().max_length as usize;
    if max_length > teachers {
        bail!(Failure::usage(format!(
            "max_length {max_length} is more than the {teachers} tokens that the teacher read of each row"
        )));
    }
    if max_length < teachers {
        tracing::warn!("the teacher read up to {teachers} tokens of each row, the student reads {max_length}");
    }
    Ok(())
}
