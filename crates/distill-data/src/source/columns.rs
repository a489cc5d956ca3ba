//! Which column of the input is what.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use std::path::Path;

/// Names of the input's columns. One that is named here must exist; one that is left out is looked for
/// under its default name and, but for the text, need not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// A row's id, `id` by default. Without one the row's number, from 0, is its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The text, `text` by default; always required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second text of a pair, `text_pair` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The label, `label` by default: a name or an id; null or empty where a row has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
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

    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Id => "id",
            Role::Text => "text",
            Role::TextPair => "text_pair",
            Role::Label => "label",
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
        }
    }

    pub(crate) fn name(&self, role: Role) -> &str {
        self.setting(role).as_deref().unwrap_or(role.word())
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
        role == Role::Text || self.setting(role).is_some()
    }

    /// Where each of the four columns stands among the `known` names of `file`.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`] for a required one; [`DataError::Format`] for one that stands there
    /// twice.
    pub(crate) fn positions(
        &self,
        file: &Path,
        known: &[impl AsRef<str>],
    ) -> Result<[Option<usize>; 4], DataError> {
        let mut positions = [None; 4];
        for (slot, role) in positions.iter_mut().zip(Role::ALL) {
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
            if slot.is_none() && self.required(role) {
                return Err(DataError::missing_column(file, name, role.word(), known));
            }
        }
        Ok(positions)
    }
}
