//! Which column of the input is what.

use distill_task::{Positions, TaskId};
use serde::{Deserialize, Serialize};

use super::note::Note;
use crate::error::{DataError, nearest};
use std::path::Path;

/// As the label's column: the data's labels are passed over.
pub(super) const NONE: &str = "none";
/// Names that columns of labels have elsewhere.
const SYNONYMS: [&str; 12] = [
    "labels",
    "target",
    "targets",
    "class",
    "classes",
    "category",
    "sentiment",
    "intent",
    "topic",
    "y",
    "gold",
    "label_text",
];
/// The same of columns of tags.
const TAG_SYNONYMS: [&str; 9] =
    ["ner_tags", "pos_tags", "chunk_tags", "ner", "pos", "upos", "labels", "label", "ner_labels"];

/// Names of the input's columns. One that is named here must exist; one that is left out is looked for
/// under its default name and, but for the text, need not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// A row's id, `id` by default. Without one the row's number, from 0, is its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The text, `text` by default; of rows of words their list, `tokens` by default; of rows with answers the question,
    /// `question` by default. Always required.
    #[serde(alias = "tokens", alias = "question", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second text of a pair, `text_pair` by default; of rows with answers the text that has them, `context` by
    /// default.
    #[serde(alias = "context", skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The label, `label` by default: a name or an id; null or empty where a row has none. Of rows of words the list of
    /// their tags, `tags` by default; of rows with answers these, `answers` by default. `none`: there are no labels.
    #[serde(alias = "tags", alias = "answers", skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What a row consists of, which decides the default names.
    #[serde(skip)]
    pub kind: RowKind,
}

/// What a row consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowKind {
    /// One text, or two.
    #[default]
    Texts,
    /// Words, each with a tag.
    Words,
    /// A question, and a text with its answers.
    Answers,
}

impl RowKind {
    /// That of the rows of a task.
    pub fn of(task: TaskId) -> Self {
        match task.positions() {
            Positions::Row | Positions::Masked => RowKind::Texts,
            Positions::Word => RowKind::Words,
            Positions::Span => RowKind::Answers,
        }
    }
}

/// The four columns in the order in which readers look for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Id,
    Text,
    TextPair,
    Label,
}

impl Role {
    pub(crate) const ALL: [Role; 4] = [Role::Id, Role::Text, Role::TextPair, Role::Label];

    /// What it is called by default where rows are of this kind.
    fn word(self, kind: RowKind) -> &'static str {
        match (self, kind) {
            (Role::Id, _) => "id",
            (Role::Text, RowKind::Texts) => "text",
            (Role::Text, RowKind::Words) => "tokens",
            (Role::Text, RowKind::Answers) => "question",
            (Role::TextPair, RowKind::Texts | RowKind::Words) => "text_pair",
            (Role::TextPair, RowKind::Answers) => "context",
            (Role::Label, RowKind::Texts) => "label",
            (Role::Label, RowKind::Words) => "tags",
            (Role::Label, RowKind::Answers) => "answers",
        }
    }
}

impl Columns {
    /// The id column's name.
    pub fn id_name(&self) -> &str {
        self.name(Role::Id)
    }

    /// The text column's name.
    pub fn text_name(&self) -> &str {
        self.name(Role::Text)
    }

    /// The second text column's name.
    pub fn text_pair_name(&self) -> &str {
        self.name(Role::TextPair)
    }

    /// The label column's name.
    pub fn label_name(&self) -> &str {
        self.name(Role::Label)
    }

    /// The same names, and for columns that have none those of `others`.
    #[must_use]
    pub fn or(self, others: &Columns) -> Self {
        Columns {
            id: self.id.or_else(|| others.id.clone()),
            text: self.text.or_else(|| others.text.clone()),
            text_pair: self.text_pair.or_else(|| others.text_pair.clone()),
            label: self.label.or_else(|| others.label.clone()),
            kind: self.kind,
        }
    }

    /// The same names, with the default ones of the rows of a task.
    #[must_use]
    pub fn for_task(self, task: TaskId) -> Self {
        Columns { kind: RowKind::of(task), ..self }
    }

    pub(crate) fn name(&self, role: Role) -> &str {
        self.named(role).unwrap_or(self.word(role))
    }

    /// What a column is for, in messages: its default name.
    pub(crate) fn word(&self, role: Role) -> &'static str {
        role.word(self.kind)
    }

    /// The name that was given to a column.
    pub(crate) fn named(&self, role: Role) -> Option<&str> {
        self.setting(role).as_deref()
    }

    fn setting(&self, role: Role) -> &Option<String> {
        match role {
            Role::Id => &self.id,
            Role::Text => &self.text,
            Role::TextPair => &self.text_pair,
            Role::Label => &self.label,
        }
    }

    pub(crate) fn required(&self, role: Role) -> bool {
        let always = role == Role::Text || (role == Role::TextPair && self.kind == RowKind::Answers);
        always || (self.setting(role).is_some() && !self.is_off(role))
    }

    /// Whether the data's labels are passed over: the label's column is `none`.
    pub fn label_is_off(&self) -> bool {
        self.label.as_deref() == Some(NONE)
    }

    pub(crate) fn is_off(&self, role: Role) -> bool {
        (role == Role::Label && self.label_is_off()) || (role == Role::TextPair && self.kind == RowKind::Words)
    }

    /// Where the only column is that has a default name but for spaces at its ends and the case of its letters.
    pub(crate) fn alike(&self, role: Role, known: &[impl AsRef<str>]) -> Option<usize> {
        let wanted = self.name(role).to_lowercase();
        let is_alike = |name: &str| name.trim().to_lowercase() == wanted;
        let mut alike = known.iter().enumerate().filter(|(_, name)| is_alike(name.as_ref()));
        let found = alike.next().filter(|_| self.setting(role).is_none())?.0;
        alike.next().is_none().then_some(found)
    }

    pub(crate) fn taken_as(&self, file: &Path, role: Role, found: &str) -> Note {
        Note::said(format!("{}: column {found:?} is used as the {}", file.display(), self.word(role)))
    }

    /// What to say where no column has the label's default name, but one whose name is much like it.
    pub(crate) fn near_label(&self, file: &Path, known: &[impl AsRef<str>]) -> Option<Note> {
        let wanted = self.name(Role::Label);
        if self.label.is_some() || known.iter().any(|name| name.as_ref() == wanted) {
            return None;
        }
        let others: Vec<&str> = known
            .iter()
            .map(AsRef::as_ref)
            .filter(|name| ![Role::Id, Role::Text, Role::TextPair].iter().any(|role| *name == self.name(*role)))
            .collect();
        let synonyms: &[&str] = if self.kind == RowKind::Words { &TAG_SYNONYMS } else { &SYNONYMS };
        let synonym = others.iter().find(|name| synonyms.contains(&name.trim().to_lowercase().as_str()));
        let near = synonym.map(|name| (*name).to_owned()).or_else(|| nearest(wanted, &others))?;
        Some(Note::warning(format!(
            "{}: there is no column {wanted:?}, so no row has a label; if the labels are in {near:?}, give \
             --label-column {near:?}; if there are no labels, --label-column {NONE}",
            file.display()
        )))
    }

    /// Where each of the four columns stands among the `known` names of `file`, and what to say of it.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`] for a required one; [`DataError::ColumnType`] for one that stands there
    /// twice.
    pub(crate) fn positions(
        &self,
        file: &Path,
        known: &[impl AsRef<str>],
    ) -> Result<([Option<usize>; 4], Vec<Note>), DataError> {
        let mut positions = [None; 4];
        let mut notes = Vec::new();
        for (slot, role) in positions.iter_mut().zip(Role::ALL).filter(|(_, role)| !self.is_off(*role)) {
            let name = self.name(role);
            let mut found = known.iter().enumerate().filter(|(_, known)| known.as_ref() == name);
            *slot = found.next().map(|(position, _)| position);
            if found.next().is_some() {
                return Err(DataError::ColumnType {
                    file: file.to_owned(),
                    column: name.to_owned(),
                    expected: "one column of that name",
                    found: "several".to_owned(),
                });
            }
            if slot.is_none() {
                *slot = self.alike(role, known);
                notes.extend(slot.map(|at| self.taken_as(file, role, known[at].as_ref())));
            }
            if slot.is_none() && self.required(role) {
                return Err(DataError::missing_column(file, name, self.word(role), known));
            }
            if slot.is_none() && role == Role::Label {
                notes.extend(self.near_label(file, known));
            }
        }
        Ok((positions, notes))
    }

    /// Whether a file with these columns has the text.
    pub(crate) fn has_text(&self, known: &[impl AsRef<str>]) -> bool {
        known.iter().any(|name| name.as_ref() == self.text_name()) || self.alike(Role::Text, known).is_some()
    }
}
