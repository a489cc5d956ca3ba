//! What `distill` does, as a library: stages, the directories that they write, what is out of date and why, pipelines, seeds,
//! sweeps and ablations. The command adds arguments, settings files, printing and exit codes.
//!
//! Read in this order: [`settings`] (what a run is told), [`session`] (what it runs on), [`stage`] (what all stages share),
//! then a stage: [`finetune`], [`augment`], [`teacher`], [`student`], [`report`], or [`predict`], which writes a single file.
//! [`claim`] and [`outdir`] say where a result goes and what it may replace, [`outfile`] the same for single files.
//! [`run`] strings stages together, after [`check`] has found nothing wrong; [`seeds`], [`sweep`] and [`ablate`] run it
//! many times. [`inputs`] opens what stages read, [`length`] says how much of a row they take, [`inference`] runs a
//! classifier over rows. [`error`] has what can go wrong, [`messages`] what is said meanwhile.

pub mod ablate;
pub mod augment;
pub mod check;
pub mod claim;
pub mod error;
pub mod figures;
pub mod finetune;
pub mod inference;
pub mod inputs;
pub mod length;
mod masked;
pub mod messages;
mod neighbours;
pub mod once;
pub mod outdir;
pub mod outfile;
pub mod predict;
pub mod predict_files;
mod predict_tags;
pub mod report;
pub mod run;
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
mod training;
mod trial;
