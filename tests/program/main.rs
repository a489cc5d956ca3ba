//! Whole-program tests: the real `distill` binary on a tiny random BERT (`tests/golden/bert-tiny`) and on
//! rows that each test writes itself. No network, no cache outside the test's own folder, CPU only.
//!
//! - [`harness`]: a folder of its own for each test, running the binary, and what may be said of a run
//! - [`files`]: rows in every format, and damaged copies of the model
//! - [`end_to_end`]: the stages one after another, what they print and what they leave on disk
//! - [`pipeline`]: `distill run`: what is run again, and why
//! - [`pretrain`]: masked language modelling
//! - [`repeatability`]: the same seed gives the same bytes
//! - [`formats`]: the same rows in every format give the same logits; pairs, labels, stores without texts
//! - [`hostile_names`]: labels, ids, columns and files whose names hold escape sequences, commands and markup
//! - [`hub`]: models by their name on a hub; [`hub_hostile`]: wrong answers of a hub; [`hub_mutants`]: damaged
//!   ones; [`hub_server`]: the hub
//! - [`bad_rows`], [`bad_models`], [`bad_settings`], [`bad_outputs`]: one line that says where and what,
//!   the right exit code, and nothing half-written
//! - [`check`]: what is found before anything is computed
//! - [`report`]: gates with their exit codes, seeds, data sets, slices, costs; [`report_inputs`]: logits from any
//!   program; [`report_documents`]: JSON by its schema, JUnit, GitHub, HTML, model card, changes
//! - [`quality`]: a floor under what is learned
//! - [`resume`]: a run that was killed or stopped goes on, to the same bytes
//! - [`signals`]: stopping by a signal; the lock of a running process
//! - [`methods`]: losses, what moves, several teachers, augmentation; [`masked`]: words from a masked language model;
//!   [`kinds`]: several classes a row, and numbers; [`worth`]: whether a teacher has anything to teach
//! - [`model_directories`]: other ways to lay out a model that are read, what a written one says, its length
//! - [`features`]: what a frozen encoder computes is kept, for runs that are stopped and for those that come after
//! - [`sweep`]: many students, compared on the validation part
//! - [`ownership`]: files of a user, inputs and earlier results are neither deleted nor mixed; [`replaced`]: kills while one
//!   result replaces another
//! - [`sharding`]: any number of shards, resumed or not, merges to the store of one pass
//! - [`stores`]: `distill targets` and `distill cache`; a student and the store that it does not fit
//! - [`schedulers`]: the scripts of `pipelines/schedulers` with a scheduler that is not one
//! - [`validate`]: whether JSON is as a schema says, whether XML is well-formed
//! - [`faults`], [`reliability`]: kills, failing calls, signals and races at many points, with a preloaded shim
//! - [`tokens`]: a tag for each word; [`answers`]: answers that are a part of a text
//! - [`vocabulary`]: training tokenizers
//! - [`changes`]: inputs that change while a run is under way
//! - [`own_files`]: modes, links, locks where there are none, what is no file
//! - [`bench`]: `distill bench`, and the trace of any command
//! - [`command_line`]: help, unknown flags, `doctor`

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::panic, clippy::unwrap_used)]

mod ablate;
mod answers;
mod augment;
mod bad_models;
mod bad_outputs;
mod bad_rows;
mod bad_settings;
mod bench;
mod changes;
mod check;
mod command_line;
mod end_to_end;
mod faults;
mod features;
mod files;
mod formats;
mod harness;
mod hostile_names;
mod hub;
mod hub_hostile;
mod hub_mutants;
mod hub_server;
mod kinds;
mod labels;
mod masked;
mod methods;
mod model_directories;
mod own_files;
mod ownership;
mod pipeline;
mod pretrain;
mod quality;
mod reliability;
mod repeatability;
mod replaced;
mod report;
mod report_documents;
mod report_inputs;
mod resume;
mod schedulers;
mod sharding;
mod signals;
mod stores;
mod sweep;
mod tokens;
mod validate;
mod vocabulary;
mod worth;
