//! What `distill` does, as a library: stages, the directories that they write, what is out of date and why, pipelines, seeds,
//! sweeps and ablations. The command adds arguments, settings files, printing and exit codes.
//!
//! Read in this order: [`settings`] (what a run is told), [`session`] (what it runs on), [`stage`] (what all stages share),
//! then a stage: [`pretrain`], [`finetune`], [`augment`], [`teacher`], [`student`], [`report`], or [`predict`], which writes a
//! single file; [`tokenizer`] makes a vocabulary, [`vocabulary`] gives it to a model.
//! [`inputs`] opens what they read, [`length`] says how much of a row they take, [`inference`] runs a classifier over rows.
//!
//! [`plan`] says what a stage has to do, given what its directory holds; [`lease`] takes the directory, [`outdir`] says what
//! in it may be replaced, [`outfile`] the same for single files; [`execute`] runs the stage and records what it did.
//!
//! [`pipeline`] runs stages one after the other, connected by [`connect`], after [`check`] has found nothing wrong.
//! [`seeds`], [`sweep`] and [`ablate`] run pipelines many times. [`error`] has what can go wrong, [`messages`] what is said
//! meanwhile.

pub mod ablate;
pub mod augment;
pub mod check;
pub mod connect;
pub mod error;
pub mod execute;
pub mod figures;
pub mod finetune;
pub mod inference;
pub mod inputs;
pub mod lease;
pub mod length;
mod masked;
pub mod messages;
mod neighbours;
pub mod once;
pub mod outdir;
pub mod outfile;
pub mod pipeline;
pub mod plan;
pub mod predict;
pub mod predict_answers;
mod predict_files;
mod predict_tags;
pub mod pretrain;
mod recorded;
pub mod report;
pub mod seeds;
pub mod session;
pub mod settings;
pub mod shard;
pub mod stage;
mod store_files;
pub mod student;
pub mod sweep;
pub mod targets;
pub mod teacher;
pub mod timeline;
pub mod tokenizer;
mod training;
mod trial;
pub mod vocabulary;
