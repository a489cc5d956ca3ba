//! What separates the fields of CSV and TSV.

use serde::{Deserialize, Serialize};

/// One ASCII character, or `tab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delimiter(pub u8);

impl TryFrom<String> for Delimiter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Delimiter(b'\t')),
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | b'\0') => Ok(Delimiter(*byte)),
            _ => Err(format!("delimiter is {text:?}, expected one character such as \";\", or \"tab\"")),
        }
    }
}

impl From<Delimiter> for String {
    fn from(delimiter: Delimiter) -> Self {
        match delimiter.0 {
            b'\t' => "tab".to_owned(),
            other => char::from(other).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_character_or_tab() {
        let of = |text: &str| Delimiter::try_from(text.to_owned());
        assert_eq!(
            [of(";"), of("tab"), of("\\t"), of("\t")].map(Result::unwrap).map(|found| found.0),
            *b";\t\t\t"
        );
        for refused in ["", "\"", "\n", ";;", "é"] {
            assert!(of(refused).unwrap_err().contains("expected one character"), "{refused:?}");
        }
        assert_eq!(String::from(Delimiter(b'\t')), "tab");
    }
}
